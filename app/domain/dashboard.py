"""How the installation is doing, in figures."""

from __future__ import annotations

from datetime import datetime

import msgspec

from app.domain.failures import FailureCode
from app.domain.views import WorkerOut
from app.domain.workers import WorkerState


class Hour(msgspec.Struct, frozen=True, kw_only=True):
    """What was finished in one hour."""

    begins_at: datetime
    done: int
    failed: int


class FailureShare(msgspec.Struct, frozen=True, kw_only=True):
    """``title`` is a message id."""

    code: FailureCode
    title: str
    count: int


class Dashboard(msgspec.Struct, frozen=True, kw_only=True):
    """Median, 95th percentile and share of reviews are those of the last results (``sample``); None without any.

    ``median_s`` and ``p95_s`` run from the end of the upload to the result.
    """

    uploads_today: int
    queued: int
    running: int
    waiting_for_review: int
    done_per_hour: int
    sample: int
    median_s: float | None
    p95_s: float | None
    review_share: float | None
    hours: list[Hour]
    failures: list[FailureShare]
    failures_since: datetime
    workers: list[WorkerOut]
    model: str | None

    @property
    def workers_ready(self) -> int:
        return sum(worker.state is WorkerState.READY for worker in self.workers)

    @property
    def most_in_an_hour(self) -> int:
        return max((hour.done + hour.failed for hour in self.hours), default=0)
