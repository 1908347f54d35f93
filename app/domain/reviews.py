"""The rules of reviewing: who looks at what, and when people have decided."""

from __future__ import annotations

import enum
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

# How long an item belongs to the reviewer before whom it lies, unless the open page renews it.
LEASE = timedelta(minutes=5)
UNDO_WINDOW = timedelta(hours=1)
NOTE_LIMIT = 1000


class ReviewState(enum.StrEnum):
    """open until enough people have decided; disputed if they disagree: an arbiter's turn; then decided."""

    OPEN = "open"
    DISPUTED = "disputed"
    DECIDED = "decided"


WAITING_STATES = (ReviewState.DISPUTED, ReviewState.OPEN)


class QueueOrder(enum.StrEnum):
    LEAST_CERTAIN = "least_certain"
    OLDEST = "oldest"
    BATCH = "batch"
    GENRE = "genre"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueWish:
    """Which items a reviewer wants, and in which order; None means all."""

    order: QueueOrder = QueueOrder.LEAST_CERTAIN
    genre: str | None = None
    batch_id: uuid.UUID | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """One person's decision that stands. ``genre`` is None where no genre fits."""

    genre: str | None
    arbitration: bool = False


@dataclass(frozen=True, slots=True)
class Outcome:
    state: ReviewState
    label: str | None = None


def outcome_of(verdicts: Sequence[Verdict], *, needed: int) -> Outcome:
    """What the decisions, oldest first, amount to: the last arbiter's, else that of more than half of enough reviewers."""
    arbitrations = [verdict.genre for verdict in verdicts if verdict.arbitration]
    if arbitrations:
        return Outcome(ReviewState.DECIDED, arbitrations[-1])
    if len(verdicts) < needed:
        return Outcome(ReviewState.OPEN)
    [(label, votes)] = Counter(verdict.genre for verdict in verdicts).most_common(1)
    return Outcome(ReviewState.DECIDED, label) if votes * 2 > len(verdicts) else Outcome(ReviewState.DISPUTED)


def is_spot_check(job_id: uuid.UUID, share: float) -> bool:
    """Is a certain result part of the random sample? The last 32 bits of a UUID of version 7 are random."""
    return (job_id.int & 0xFFFFFFFF) < share * 2**32
