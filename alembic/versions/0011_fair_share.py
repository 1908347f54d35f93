"""The place of a job in the queue

A version that is being replaced may still run while this is applied: add first, remove in a later release. Jobs without a
place, queued before or by such a version, are taken up when they are rung for by name.

Revision: 0011
After: 0010
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("lane", sa.String(32), nullable=True))
    op.add_column("jobs", sa.Column("turn", sa.BigInteger(), nullable=True))
    op.create_index("ix_jobs_queue", "jobs", ["state", "lane", "turn", "id"])
    op.create_index("ix_jobs_queue_owner", "jobs", ["state", "lane", "user_id", "api_key_id", "turn"])


def downgrade() -> None:
    op.drop_index("ix_jobs_queue_owner", "jobs")
    op.drop_index("ix_jobs_queue", "jobs")
    with op.batch_alter_table("jobs", schema=None) as batch_op:
        batch_op.drop_column("turn")
        batch_op.drop_column("lane")
