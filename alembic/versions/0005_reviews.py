"""Reviews

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0005
After: 0004
"""

from __future__ import annotations

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
