"""Rules of webhooks: which events are told, when a failed delivery is tried again, when an endpoint is given up."""

from __future__ import annotations

import enum
import random
from collections.abc import Sequence
from datetime import timedelta

from app.domain.jobs import EventType

# What systems outside are told, and what the feed of events shows. That a job was created its submitter knows.
PUBLISHED = frozenset(
    {
        EventType.JOB_DONE,
        EventType.JOB_FAILED,
        EventType.JOB_CANCELLED,
        EventType.BATCH_DONE,
        EventType.REVIEW_DECIDED,
    }
)
# The ends of a job: the events that its own callback is told.
JOB_ENDS = frozenset({EventType.JOB_DONE, EventType.JOB_FAILED, EventType.JOB_CANCELLED})

# The schedule that the Standard Webhooks specification proposes, to which chance adds up to a tenth.
RETRY_DELAYS_S: Sequence[float] = (5, 300, 1800, 7200, 18_000, 36_000, 50_400, 72_000, 86_400)
_JITTER = 0.1

SEND_TIMEOUT_S = 15.0
DISABLE_AFTER = timedelta(days=5)
KEPT_BODY_BYTES = 4096

ENDPOINTS_PER_OWNER = 20
DEFAULT_OVERLAP_HOURS = 24
MOST_OVERLAP_HOURS = 168


class DeliveryState(enum.StrEnum):
    """pending until it arrived or until the last attempt has failed."""

    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"


class DisabledReason(enum.StrEnum):
    """Why an endpoint gets nothing: its owner wants it so, it answered 410, or it failed for days."""

    BY_OWNER = "by_owner"
    GONE = "gone"
    FAILING = "failing"


def retry_delay_s(attempts: int, delays_s: Sequence[float] = RETRY_DELAYS_S) -> float | None:
    """Seconds until the next attempt after so many failed ones; None: that was the last."""
    if attempts > len(delays_s):
        return None
    # Chance only keeps those that failed together from coming back together.
    return delays_s[attempts - 1] * (1 + random.uniform(0, _JITTER))  # noqa: S311
