"""Genre guide

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0007
After: 0006
"""

from __future__ import annotations

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
