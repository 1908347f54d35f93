"""What callers get to see of reviews."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from app.domain.jobs import ReviewReason
from app.domain.reviews import NOTE_LIMIT, ReviewState
from app.domain.views import JobOut


class DecisionIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person decides."""

    genre: Annotated[
        str | None,
        Meta(description="Id of one of the sixteen genres; null if none of them fits", examples=["soft_rock"]),
    ]
    note: Annotated[str, Meta(max_length=NOTE_LIMIT, description="A remark for whoever reads the decision")] = ""


class DecisionOut(msgspec.Struct, frozen=True, kw_only=True):
    """What a person decided. A decision that was changed or undone stays in the history, with the time of that."""

    reviewer: Annotated[str, Meta(description="Name of the person or API key")]
    genre: Annotated[str | None, Meta(description="null: none of the sixteen fits")]
    note: str
    arbitration: Annotated[bool, Meta(description="Made by an arbiter, after reviewers had disagreed")]
    proposed_genre: Annotated[str, Meta(description="First genre of the model at that time")]
    proposed_probability: float
    created_at: datetime
    withdrawn_at: datetime | None


class ReviewOut(msgspec.Struct, frozen=True, kw_only=True):
    """A result that a person should look at, or has looked at."""

    id: uuid.UUID
    job_id: uuid.UUID
    name: Annotated[str, Meta(description="Title of the recording, or its file name", examples=["Morning"])]
    reason: ReviewReason
    state: ReviewState
    genre: Annotated[str, Meta(description="First genre of the model")]
    probability: float
    batch_id: uuid.UUID | None
    created_at: datetime
    lease_until: Annotated[datetime | None, Meta(description="Until when the caller has it, if so")]
    label: Annotated[str | None, Meta(description="Final genre once decided; null then means that none fits")]
    decided_at: datetime | None
    decisions: Annotated[
        list[DecisionOut], Meta(description="Oldest first. While the review is open only the caller's own")
    ]


class ReviewPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list, newest first."""

    items: list[ReviewOut]
    next_cursor: Annotated[str | None, Meta(description="Give it as `cursor` to get the next page; null on the last")]


class ClaimOut(msgspec.Struct, frozen=True, kw_only=True):
    """An item that the caller has claimed. ``lease_id`` belongs to this claim."""

    review: ReviewOut
    lease_id: uuid.UUID
    job: JobOut


class NextOut(msgspec.Struct, frozen=True, kw_only=True):
    """What comes next."""

    item: Annotated[ClaimOut | None, Meta(description="null: nothing waits that the caller could decide on")]
