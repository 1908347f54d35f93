"""Library and administration

A version that is being replaced may still run while this is applied: add first, remove in a later release.

Revision: 0006
After: 0005
"""

from __future__ import annotations

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
