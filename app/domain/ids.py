"""Identifiers and the clock."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

import uuid_utils.compat


def new_id() -> uuid.UUID:
    """A UUID of version 7: sorts by the time of its making."""
    return uuid_utils.compat.uuid7()


def first_id_of(moment: datetime) -> uuid.UUID:
    """Smaller than every id that was made then or later, and greater than those before."""
    return uuid.UUID(int=max(int(moment.timestamp() * 1000), 0) << 80)  # nothing was made before 1970


def utc_now() -> datetime:
    return datetime.now(UTC)
