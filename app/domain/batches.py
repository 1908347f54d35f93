"""Batches as callers see them."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from app.domain.failures import FailureCode
from app.domain.genres import Tier

NAME_LIMIT = 200

Count = Annotated[int, Meta(ge=0)]


class BatchState(enum.StrEnum):
    """open: more jobs may come. running: it is complete, and not all of its jobs are finished. done: all are."""

    OPEN = "open"
    RUNNING = "running"
    DONE = "done"


class BatchProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How many jobs are in which state, and how fast they get finished."""

    total: Count
    queued: Count
    running: Count
    done: Count
    failed: Count
    cancelled: Count
    rate_per_minute: Annotated[
        float | None,
        Meta(description="Jobs finished per minute, over the last minute; null if none was or none is left"),
    ]
    remaining_s: Annotated[float | None, Meta(description="Seconds to go at this rate; null if there is none")]

    @property
    def pending(self) -> int:
        return self.queued + self.running

    @property
    def ended(self) -> int:
        return self.total - self.pending


class GenreCount(msgspec.Struct, frozen=True):
    genre: str
    count: Count


class TierCount(msgspec.Struct, frozen=True):
    tier: Tier
    count: Count


class FailureCount(msgspec.Struct, frozen=True):
    """A kind of failure; ``title`` is its English name."""

    code: FailureCode
    title: str
    count: Count
    retryable: Annotated[bool, Meta(description="True if trying again may help")]


class BatchOut(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that were submitted together."""

    id: uuid.UUID
    name: str
    private: Annotated[bool, Meta(description="True: only its owner and admins see it and its jobs")]
    state: BatchState
    submitted_by: Annotated[str | None, Meta(description="Name of the person or API key")]
    created_at: datetime
    closed_at: Annotated[datetime | None, Meta(description="Since when no more jobs are expected")]
    finished_at: Annotated[datetime | None, Meta(description="When the last of its jobs was finished")]
    progress: BatchProgress


class BatchDetailOut(BatchOut, frozen=True, kw_only=True):
    """A batch, with what came of it so far."""

    genres: Annotated[list[GenreCount], Meta(description="Finished jobs by first genre, most frequent first")]
    tiers: Annotated[list[TierCount], Meta(description="Finished jobs by certainty, most certain first")]
    failures: Annotated[list[FailureCount], Meta(description="Failed jobs by reason, most frequent first")]
    to_review: Annotated[int, Meta(ge=0, description="Jobs whose result a person should look at")]


class BatchPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list, newest first."""

    items: list[BatchOut]
    next_cursor: Annotated[str | None, Meta(description="Give it as `cursor` to get the next page; null on the last")]
