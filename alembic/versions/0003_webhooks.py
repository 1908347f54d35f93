"""Webhooks

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0003
After: 0002
"""

from __future__ import annotations

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
