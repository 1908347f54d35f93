"""How long things are kept."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

# What the log of changes is kept for at least: a trigger of the database insists on it.
FEWEST_AUDIT_DAYS = 30
DAYS_LIMIT = 36_500

Days = Annotated[int, Meta(ge=0, le=DAYS_LIMIT)]


class ColdClass(enum.StrEnum):
    """Storage classes of S3 that cost less and are still read at once."""

    STANDARD_IA = "STANDARD_IA"
    ONEZONE_IA = "ONEZONE_IA"
    INTELLIGENT_TIERING = "INTELLIGENT_TIERING"
    GLACIER_IR = "GLACIER_IR"


class Retention(msgspec.Struct, frozen=True, kw_only=True):
    """Days after which something goes; 0: never. ``cold_days``: after which audio moves to the cold storage class.

    Counted from the end of an analysis, or from an entry of the audit log. ``keep_reviewed``: what people have decided on
    stays whole; examples of genres always do.
    """

    audio_days: Days = 0
    results_days: Days = 0
    audit_days: Days = 0
    cold_days: Days = 0
    keep_reviewed: bool = True

    def __post_init__(self) -> None:
        if 0 < self.audit_days < FEWEST_AUDIT_DAYS:
            raise ValueError(f"the audit log is kept for {FEWEST_AUDIT_DAYS} days at least")


class Due(msgspec.Struct, frozen=True):
    """How much of one kind is over its time. The audit log has no bytes of its own."""

    count: int
    size_bytes: int = 0


class RetentionPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What would go now. Recordings that go whole are counted under audio too, if they still have some."""

    results: Due
    audio: Due
    cold: Due
    audit: Due
