"""Batches

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0009
After: 0008
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("batches", schema=None) as batch_op:
        batch_op.add_column(sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True))
    op.create_index("ix_jobs_batch_state", "jobs", ["batch_id", "state"])


def downgrade() -> None:
    op.drop_index("ix_jobs_batch_state", "jobs")
    with op.batch_alter_table("batches", schema=None) as batch_op:
        batch_op.drop_column("closed_at")
