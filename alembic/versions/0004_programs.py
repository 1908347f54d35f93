"""What programs need

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0004
After: 0003
"""

from __future__ import annotations

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
