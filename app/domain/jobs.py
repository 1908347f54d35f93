"""The life of a job."""

from __future__ import annotations

import enum
import uuid


class JobKind(enum.StrEnum):
    """What is analysed. More kinds will come: nothing above the compute layer may assume the first."""

    GENRE = "genre"


class AnalysisScope(enum.StrEnum):
    """How much of a recording is analysed: its first 30 s, or all of it."""

    START = "start"
    FULL = "full"


def is_bulk(scope: AnalysisScope, batch_id: uuid.UUID | None) -> bool:
    """Does nobody sit and wait for this job? Whole recordings and batches let single uploads go first."""
    return scope is AnalysisScope.FULL or batch_id is not None


class Lane(enum.StrEnum):
    """Which queue a job waits in: what a person waits for, batches, whole recordings. The last two are bulk."""

    URGENT = "urgent"
    BATCH = "batch"
    WHOLE = "whole"

    @classmethod
    def of(cls, scope: AnalysisScope, batch_id: uuid.UUID | None) -> Lane:
        if scope is AnalysisScope.FULL:
            return cls.WHOLE
        return cls.URGENT if batch_id is None else cls.BATCH


BULK_LANES = (Lane.BATCH, Lane.WHOLE)


class JobState(enum.StrEnum):
    """queued, running, then done, failed or cancelled."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def final(self) -> bool:
        return self in FINAL_STATES


FINAL_STATES = frozenset({JobState.DONE, JobState.FAILED, JobState.CANCELLED})
CANCELLABLE_STATES = frozenset({JobState.QUEUED, JobState.RUNNING})
RETRYABLE_STATES = frozenset({JobState.FAILED, JobState.CANCELLED})

# A job whose worker died is given to another one; a job that kills every worker must not do so for ever.
MAX_LOSSES = 3


class ReviewReason(enum.StrEnum):
    """Why a person should look at a result."""

    LOW_PROBABILITY = "low_probability"
    NOT_AUDIBLE = "not_audible"
    SPOT_CHECK = "spot_check"
    REQUESTED = "requested"


class EventType(enum.StrEnum):
    JOB_CREATED = "job.created"
    JOB_DONE = "job.done"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    BATCH_DONE = "batch.done"
    REVIEW_DECIDED = "review.decided"
    WEBHOOK_TEST = "webhook.test"


def review_reason(probability: float, *, audible: bool, threshold: float) -> ReviewReason | None:
    """Does a result go to the review queue, and why?"""
    if not audible:
        return ReviewReason.NOT_AUDIBLE
    return ReviewReason.LOW_PROBABILITY if probability < threshold else None
