"""Batches

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0009
After: 0008
"""

from __future__ import annotations

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
