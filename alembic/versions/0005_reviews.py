"""Reviews

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0005
After: 0004
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

_QUEUE_INDEXES = {
    "ix_reviews_state_probability": ["state", "probability", "id"],
    "ix_reviews_state_id": ["state", "id"],
    "ix_reviews_state_genre": ["state", "genre", "probability", "id"],
    "ix_reviews_state_batch": ["state", "batch_id", "probability", "id"],
    "ix_reviews_state_decided_at": ["state", "decided_at"],
    "ix_reviews_batch_id": ["batch_id"],
    "ix_reviews_claimed_by": ["claimed_by"],
}
_NEW_COLUMNS = ("state", "genre", "probability", "batch_id", "claimed_by", "claimed_at", "lease_id", "lease_until")


def upgrade() -> None:
    with op.batch_alter_table("reviews", schema=None) as batch_op:
        batch_op.add_column(sa.Column("state", sa.String(length=32), nullable=False, server_default="open"))
        batch_op.add_column(sa.Column("genre", sa.String(length=64), nullable=False, server_default=""))
        batch_op.add_column(sa.Column("probability", sa.Double(), nullable=False, server_default="0"))
        batch_op.add_column(sa.Column("batch_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("claimed_by", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("claimed_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("lease_id", sa.Uuid(), nullable=True))
        batch_op.add_column(sa.Column("lease_until", sa.DateTime(timezone=True), nullable=True))
        batch_op.add_column(sa.Column("label", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True))
        batch_op.create_foreign_key(
            batch_op.f("fk_reviews_batch_id_batches"), "batches", ["batch_id"], ["id"], ondelete="SET NULL"
        )
        for name, columns in _QUEUE_INDEXES.items():
            batch_op.create_index(name, columns, unique=False)
    op.execute(
        "UPDATE reviews SET genre = COALESCE((SELECT genre FROM jobs WHERE jobs.id = reviews.job_id), ''), "
        "probability = COALESCE((SELECT probability FROM jobs WHERE jobs.id = reviews.job_id), 0), "
        "batch_id = (SELECT batch_id FROM jobs WHERE jobs.id = reviews.job_id)"
    )

    op.create_table(
        "review_decisions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("review_id", sa.Uuid(), nullable=False),
        sa.Column("reviewer_id", sa.Uuid(), nullable=False),
        sa.Column("reviewer", sa.String(length=255), nullable=False),
        sa.Column("genre", sa.String(length=64), nullable=True),
        sa.Column("note", sa.String(length=1000), nullable=False),
        sa.Column("arbitration", sa.Boolean(), nullable=False),
        sa.Column("proposed_genre", sa.String(length=64), nullable=False),
        sa.Column("proposed_probability", sa.Double(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["review_id"], ["reviews.id"], name=op.f("fk_review_decisions_review_id_reviews"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_review_decisions")),
    )
    with op.batch_alter_table("review_decisions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_review_decisions_created_at"), ["created_at"], unique=False)
        batch_op.create_index(batch_op.f("ix_review_decisions_review_id"), ["review_id"], unique=False)
        batch_op.create_index("ix_review_decisions_reviewer", ["reviewer_id", "id"], unique=False)
        batch_op.create_index(
            "uq_review_decisions_standing",
            ["review_id", "reviewer_id", "arbitration"],
            unique=True,
            sqlite_where=sa.text("withdrawn_at IS NULL"),
            postgresql_where=sa.text("withdrawn_at IS NULL"),
        )

    op.create_table(
        "review_skips",
        sa.Column("review_id", sa.Uuid(), nullable=False),
        sa.Column("reviewer_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["review_id"], ["reviews.id"], name=op.f("fk_review_skips_review_id_reviews"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("review_id", "reviewer_id", name=op.f("pk_review_skips")),
    )
    with op.batch_alter_table("review_skips", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_review_skips_reviewer_id"), ["reviewer_id"], unique=False)


def downgrade() -> None:
    op.drop_table("review_skips")
    op.drop_table("review_decisions")
    with op.batch_alter_table("reviews", schema=None) as batch_op:
        for name in _QUEUE_INDEXES:
            batch_op.drop_index(name)
        batch_op.drop_constraint(batch_op.f("fk_reviews_batch_id_batches"), type_="foreignkey")
        for name in (*_NEW_COLUMNS, "label", "decided_at"):
            batch_op.drop_column(name)
