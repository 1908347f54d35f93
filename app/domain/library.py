"""What the library is limited to and ordered by."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass
from datetime import datetime

import msgspec

from app.domain.genres import Tier
from app.domain.jobs import JobState, ReviewReason
from app.domain.views import FailureOut

VIEW_NAME_LIMIT = 80
VIEW_QUERY_LIMIT = 1000
VIEWS_PER_PERSON = 30


class LibraryOrder(enum.StrEnum):
    """By certainty there are only recordings that have been analysed."""

    NEWEST = "newest"
    OLDEST = "oldest"
    LEAST_CERTAIN = "least_certain"
    MOST_CERTAIN = "most_certain"
    NAME = "name"


class ReviewStatus(enum.StrEnum):
    WAITING = "waiting"
    DECIDED = "decided"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class LibraryFilter:
    """None and an empty text mean no limit. ``genre`` is what people have decided on, else what the model says."""

    text: str = ""
    genre: str | None = None
    tier: Tier | None = None
    state: JobState | None = None
    review: ReviewStatus | None = None
    batch_id: uuid.UUID | None = None
    user_id: uuid.UUID | None = None
    api_key_id: uuid.UUID | None = None
    added_from: datetime | None = None
    added_before: datetime | None = None


@dataclass(frozen=True, slots=True)
class LibraryCursor:
    """The last recording of a page: the next one begins behind it. ``value`` is None where the id alone is the order."""

    value: float | str | None
    id: uuid.UUID


class LibraryEntry(msgspec.Struct, frozen=True, kw_only=True):
    """A recording as the library lists it. ``genre`` is the model's, ``label`` is what people have decided on."""

    id: uuid.UUID
    state: JobState
    progress: float | None
    created_at: datetime
    submitted_by: str | None
    batch_id: uuid.UUID | None
    batch_name: str | None
    name: str
    title: str | None
    artist: str | None
    duration_s: float | None
    size_bytes: int | None
    kept: bool
    genre: str | None
    probability: float | None
    tier: Tier | None
    label: str | None
    starter: bool
    review: ReviewStatus
    review_reason: ReviewReason | None
    error: FailureOut | None


class LibraryPage(msgspec.Struct, frozen=True, kw_only=True):
    """``next_cursor`` leads to the next page; None on the last."""

    items: list[LibraryEntry]
    next_cursor: str | None


class BulkAction(enum.StrEnum):
    """What can be done to many recordings at once."""

    REVIEW = "review"
    REANALYSE = "reanalyse"
    DELETE = "delete"


class SavedViewOut(msgspec.Struct, frozen=True, kw_only=True):
    """A filter under a name. ``own``: the asking person has saved it, and may delete it."""

    id: uuid.UUID
    name: str
    query: str
    shared: bool
    own: bool


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody or something that the library can be limited to."""

    id: uuid.UUID
    name: str
