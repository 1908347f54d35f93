"""Append-only audit log, retention, sealed secrets

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0010
After: 0009
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

# Whoever deletes has to move the horizon first, and it stays behind the present: nobody can wipe out what they did today.
_SQLITE = (
    """
    CREATE TRIGGER audit_entries_unchanged BEFORE UPDATE ON audit_entries
    BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END
    """,
    """
    CREATE TRIGGER audit_entries_unreplaced BEFORE INSERT ON audit_entries
    WHEN EXISTS (SELECT 1 FROM audit_entries WHERE id = NEW.id)
    BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END
    """,
    """
    CREATE TRIGGER audit_entries_undeleted BEFORE DELETE ON audit_entries
    WHEN NOT EXISTS (SELECT 1 FROM audit_horizons WHERE OLD.created_at < delete_before)
    BEGIN SELECT RAISE(ABORT, 'audit entries are append-only'); END
    """,
    *(
        f"""
        CREATE TRIGGER audit_horizons_behind_on_{event} BEFORE {event} ON audit_horizons
        WHEN NEW.delete_before > strftime('%Y-%m-%d %H:%M:%S', 'now', '-29 days')
        BEGIN SELECT RAISE(ABORT, 'audit entries are kept for 30 days at least'); END
        """
        for event in ("insert", "update")
    ),
)
_POSTGRESQL = (
    """
    CREATE FUNCTION guard_audit_entries() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF TG_OP = 'DELETE' THEN
            IF EXISTS (SELECT 1 FROM audit_horizons WHERE OLD.created_at < delete_before) THEN
                RETURN OLD;
            END IF;
        END IF;
        RAISE EXCEPTION 'audit entries are append-only';
    END $$
    """,
    """
    CREATE FUNCTION guard_audit_horizons() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF NEW.delete_before > now() - interval '29 days' THEN
            RAISE EXCEPTION 'audit entries are kept for 30 days at least';
        END IF;
        RETURN NEW;
    END $$
    """,
    """
    CREATE TRIGGER audit_entries_append_only BEFORE UPDATE OR DELETE ON audit_entries
    FOR EACH ROW EXECUTE FUNCTION guard_audit_entries()
    """,
    """
    CREATE TRIGGER audit_entries_untruncated BEFORE TRUNCATE ON audit_entries
    FOR EACH STATEMENT EXECUTE FUNCTION guard_audit_entries()
    """,
    """
    CREATE TRIGGER audit_horizons_behind BEFORE INSERT OR UPDATE ON audit_horizons
    FOR EACH ROW EXECUTE FUNCTION guard_audit_horizons()
    """,
)
_TAKEN_BACK = {
    "sqlite": (
        *(f"DROP TRIGGER audit_entries_{name}" for name in ("unchanged", "unreplaced", "undeleted")),
        *(f"DROP TRIGGER audit_horizons_behind_on_{event}" for event in ("insert", "update")),
    ),
    "postgresql": (
        "DROP TRIGGER audit_entries_append_only ON audit_entries",
        "DROP TRIGGER audit_entries_untruncated ON audit_entries",
        "DROP TRIGGER audit_horizons_behind ON audit_horizons",
        "DROP FUNCTION guard_audit_entries",
        "DROP FUNCTION guard_audit_horizons",
    ),
}
_SECRETS = {"webhook_endpoints": ("secret", "previous_secret"), "api_keys": ("webhook_secret",)}


def upgrade() -> None:
    op.create_table(
        "audit_horizons",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("delete_before", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_horizons")),
    )
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)
    with op.batch_alter_table("assets", schema=None) as batch_op:
        batch_op.add_column(sa.Column("cooled_at", sa.DateTime(timezone=True), nullable=True))
    for table, columns in _SECRETS.items():
        with op.batch_alter_table(table, schema=None) as batch_op:
            for column in columns:
                nullable = table == "webhook_endpoints"
                batch_op.alter_column(
                    column, existing_type=sa.String(64), type_=sa.String(255), existing_nullable=nullable
                )


def downgrade() -> None:
    # The secrets' columns stay wide: what is sealed in them would not fit into the narrow ones.
    with op.batch_alter_table("assets", schema=None) as batch_op:
        batch_op.drop_column("cooled_at")
    for statement in _TAKEN_BACK[op.get_bind().dialect.name]:
        op.execute(statement)
    op.drop_table("audit_horizons")
