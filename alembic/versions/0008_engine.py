"""Engine

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0008
After: 0007
"""

from __future__ import annotations

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
