"""Library and administration

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0006
After: 0005
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from app.domain.search import sort_name, terms_of

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_CHUNK = 500
_ASSETS = sa.table(
    "assets",
    sa.column("id", sa.Uuid()),
    *(sa.column(name, sa.String()) for name in ("name", "title", "artist", "sort_name")),
)
_TERMS = sa.table("search_terms", sa.column("term", sa.String()), sa.column("asset_id", sa.Uuid()))
_LIBRARY = ["id", "state", "genre", "label", "tier", "batch_id", "user_id", "api_key_id", "asset_id", "probability"]
_TERM = sa.String(length=24).with_variant(sa.String(length=24, collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "search_terms",
        sa.Column("term", _TERM, nullable=False),
        sa.Column("asset_id", sa.Uuid(), nullable=False),
        sa.ForeignKeyConstraint(
            ["asset_id"], ["assets.id"], name=op.f("fk_search_terms_asset_id_assets"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("term", "asset_id", name=op.f("pk_search_terms")),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_search_terms_asset_id", "search_terms", ["asset_id", "term"], unique=False)
    op.add_column("assets", sa.Column("sort_name", sa.String(length=48), nullable=False, server_default=""))
    _index_what_is_there()
    op.create_index("ix_assets_sort_name", "assets", ["sort_name", "id"], unique=False)

    op.drop_index(op.f("ix_jobs_genre"), "jobs")
    op.create_index("ix_jobs_library", "jobs", _LIBRARY, unique=False)
    op.create_index("ix_jobs_genre_label", "jobs", ["genre", "label", "tier", "id"], unique=False)
    op.drop_index(op.f("ix_jobs_label"), "jobs")
    op.create_index("ix_jobs_label_tier", "jobs", ["label", "tier", "id"], unique=False)
    op.create_index("ix_jobs_probability", "jobs", ["probability", "id"], unique=False)
    op.create_index("ix_jobs_state_finished_at", "jobs", ["state", "finished_at"], unique=False)
    op.create_index(op.f("ix_jobs_tier"), "jobs", ["tier"], unique=False)

    op.create_table(
        "saved_views",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("query", sa.String(length=1000), nullable=False),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["user_id"], ["users.id"], name=op.f("fk_saved_views_user_id_users"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_saved_views")),
    )
    op.create_index("uq_saved_views_user_name", "saved_views", ["user_id", "name"], unique=True)
    op.create_index(op.f("ix_saved_views_shared"), "saved_views", ["shared"], unique=False)

    op.add_column("users", sa.Column("given_role", sa.String(length=32), nullable=True))
    op.create_index("ix_audit_entries_target_id", "audit_entries", ["target_id", "id"], unique=False)
    op.create_index("ix_audit_entries_actor", "audit_entries", ["actor", "id"], unique=False)


def _index_what_is_there() -> None:
    """In the order of the ids, some at a time: there may be a million."""
    connection = op.get_bind()
    page = sa.select(_ASSETS.c.id, _ASSETS.c.name, _ASSETS.c.title, _ASSETS.c.artist).order_by(_ASSETS.c.id)
    page = page.limit(_CHUNK)
    assets = connection.execute(page).all()
    while assets:
        terms = [
            {"term": term, "asset_id": asset.id}
            for asset in assets
            for term in terms_of(asset.name, asset.title, asset.artist)
        ]
        if terms:
            connection.execute(_TERMS.insert(), terms)
        connection.execute(
            _ASSETS.update().where(_ASSETS.c.id == sa.bindparam("asset")).values(sort_name=sa.bindparam("sorted")),
            [{"asset": asset.id, "sorted": sort_name(asset.title, asset.name)} for asset in assets],
        )
        assets = connection.execute(page.where(_ASSETS.c.id > assets[-1].id)).all()


def downgrade() -> None:
    op.drop_index("ix_audit_entries_actor", "audit_entries")
    op.drop_index("ix_audit_entries_target_id", "audit_entries")
    op.drop_column("users", "given_role")
    op.drop_table("saved_views")

    op.drop_index(op.f("ix_jobs_tier"), "jobs")
    op.drop_index("ix_jobs_state_finished_at", "jobs")
    op.drop_index("ix_jobs_probability", "jobs")
    op.drop_index("ix_jobs_label_tier", "jobs")
    op.create_index(op.f("ix_jobs_label"), "jobs", ["label"], unique=False)
    op.drop_index("ix_jobs_genre_label", "jobs")
    op.drop_index("ix_jobs_library", "jobs")
    op.create_index(op.f("ix_jobs_genre"), "jobs", ["genre"], unique=False)

    op.drop_index("ix_assets_sort_name", "assets")
    op.drop_column("assets", "sort_name")
    op.drop_table("search_terms")
