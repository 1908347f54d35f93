"""What programs need

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0004
After: 0003
"""

from __future__ import annotations

import base64
import secrets

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_KEYS = sa.table("api_keys", sa.column("id", sa.Uuid()), sa.column("webhook_secret", sa.String()))


def upgrade() -> None:
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.add_column(sa.Column("scopes", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("webhook_secret", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("user_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_index(batch_op.f("ix_api_keys_user_id"), ["user_id"], unique=False)
        batch_op.create_foreign_key(
            batch_op.f("fk_api_keys_user_id_users"), "users", ["user_id"], ["id"], ondelete="CASCADE"
        )
    _give_secrets()
    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.alter_column("webhook_secret", existing_type=sa.String(length=64), nullable=False)

    with op.batch_alter_table("assets", schema=None) as batch_op:
        batch_op.alter_column("sha256", existing_type=sa.String(length=64), nullable=True)
        batch_op.alter_column("size_bytes", existing_type=sa.BigInteger(), nullable=True)
        batch_op.alter_column("container", existing_type=sa.String(length=32), nullable=True)

    op.create_table(
        "idempotent_answers",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("caller", sa.String(length=64), nullable=False),
        sa.Column("key", sa.String(length=255), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("location", sa.String(length=255), nullable=True),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_idempotent_answers")),
    )
    with op.batch_alter_table("idempotent_answers", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_idempotent_answers_created_at"), ["created_at"], unique=False)
        batch_op.create_index("uq_idempotent_answers_caller_key", ["caller", "key"], unique=True)

    op.create_table(
        "direct_uploads",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=True),
        sa.Column("api_key_id", sa.Uuid(), nullable=True),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("part_bytes", sa.Integer(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("container", sa.String(length=32), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["api_key_id"], ["api_keys.id"], name=op.f("fk_direct_uploads_api_key_id_api_keys"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_direct_uploads_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_direct_uploads")),
    )
    with op.batch_alter_table("direct_uploads", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_direct_uploads_api_key_id"), ["api_key_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_direct_uploads_expires_at"), ["expires_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_direct_uploads_user_id"), ["user_id"], unique=False)

    op.create_table(
        "sources",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("force", sa.Boolean(), nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_sources_job_id_jobs"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_sources")),
    )
    with op.batch_alter_table("sources", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_sources_due_at"), ["due_at"], unique=False)


def _give_secrets() -> None:
    """Every key that is there already gets a webhook secret of its own."""
    connection = op.get_bind()
    for key_id in connection.scalars(sa.select(_KEYS.c.id)).all():
        secret = "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()
        connection.execute(_KEYS.update().where(_KEYS.c.id == key_id).values(webhook_secret=secret))


def downgrade() -> None:
    op.drop_table("sources")
    op.drop_table("direct_uploads")
    op.drop_table("idempotent_answers")

    op.execute("DELETE FROM jobs WHERE asset_id IN (SELECT id FROM assets WHERE sha256 IS NULL)")
    op.execute("DELETE FROM assets WHERE sha256 IS NULL")
    with op.batch_alter_table("assets", schema=None) as batch_op:
        batch_op.alter_column("container", existing_type=sa.String(length=32), nullable=False)
        batch_op.alter_column("size_bytes", existing_type=sa.BigInteger(), nullable=False)
        batch_op.alter_column("sha256", existing_type=sa.String(length=64), nullable=False)

    with op.batch_alter_table("api_keys", schema=None) as batch_op:
        batch_op.drop_constraint(batch_op.f("fk_api_keys_user_id_users"), type_="foreignkey")
        batch_op.drop_index(batch_op.f("ix_api_keys_user_id"))
        batch_op.drop_column("expires_at")
        batch_op.drop_column("user_id")
        batch_op.drop_column("webhook_secret")
        batch_op.drop_column("scopes")
