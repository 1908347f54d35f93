"""Genre guide

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0007
After: 0006
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "genre_examples",
        sa.Column("genre", sa.String(length=64), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("chosen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["job_id"], ["jobs.id"], name=op.f("fk_genre_examples_job_id_jobs"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("genre", name=op.f("pk_genre_examples")),
    )
    with op.batch_alter_table("genre_examples", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_genre_examples_job_id"), ["job_id"], unique=False)


def downgrade() -> None:
    with op.batch_alter_table("genre_examples", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_genre_examples_job_id"))

    op.drop_table("genre_examples")
