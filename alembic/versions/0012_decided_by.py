"""Who has decided on what still waits

The indexes of the queue become longer; a version that is being replaced can use them as well. Decisions that it makes meanwhile
are found by a look at their rows, as before.

Revision: 0012
After: 0011
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None

_ORDERS = {
    "ix_reviews_state_probability": ["state", "probability", "id"],
    "ix_reviews_state_id": ["state", "id"],
    "ix_reviews_state_genre": ["state", "genre", "probability", "id"],
    "ix_reviews_state_batch": ["state", "batch_id", "probability", "id"],
}
_REVIEWS = sa.table("reviews", sa.column("id"), sa.column("state"), sa.column("decided_by"))
_DECISIONS = sa.table("review_decisions", sa.column("review_id"), sa.column("reviewer_id"), sa.column("withdrawn_at"))


def _fill() -> None:
    standing = sa.and_(_DECISIONS.c.review_id == _REVIEWS.c.id, _DECISIONS.c.withdrawn_at.is_(None))
    name = sa.func.replace(sa.cast(_DECISIONS.c.reviewer_id, sa.Text), "-", "")
    names = sa.select(sa.func.aggregate_strings(name, " ")).where(standing).scalar_subquery()
    waits = sa.and_(_REVIEWS.c.state != "decided", sa.exists().where(standing))
    op.execute(_REVIEWS.update().where(waits).values(decided_by=names))


def upgrade() -> None:
    op.add_column("reviews", sa.Column("decided_by", sa.Text(), server_default="", nullable=False))
    _fill()
    for name, columns in _ORDERS.items():
        op.drop_index(name, "reviews")
        op.create_index(name, "reviews", [*columns, "decided_by"])


def downgrade() -> None:
    for name, columns in _ORDERS.items():
        op.drop_index(name, "reviews")
        op.create_index(name, "reviews", columns)
    with op.batch_alter_table("reviews", schema=None) as batch_op:
        batch_op.drop_column("decided_by")
