"""What the database knows of how well things go: for metrics and health, read at most every few seconds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.db.repositories import monitoring as repository
from app.db.repositories.monitoring import Finished, Pending
from app.db.uow import Store, UnitOfWork
from app.domain.ids import utc_now
from app.domain.jobs import JobState
from app.domain.workers import WORKER_GONE_AFTER_S, WorkerState

# What "recent" means in the names of metrics.
RECENT = timedelta(minutes=5)
_MOST_SPANS = 1000
_FRESH_S = 5.0
_STALLED_AFTER_S = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """How things stood at ``read_at``. Seconds; None where there is nothing to tell.

    ``recent_waits_s``: from upload to result, of single uploads that were done within RECENT, sorted.
    ``webhook_attempts``: within RECENT, accepted ones and others.
    """

    read_at: datetime
    pending: Sequence[Pending]
    recent: Sequence[Finished]
    recent_waits_s: Sequence[float]
    last_result_age_s: float | None
    workers: dict[WorkerState, int]
    due_deliveries: int
    oldest_due_delivery_s: float | None
    webhook_attempts: tuple[int, int]

    def longest_wait_s(self, *, bulk: bool) -> float:
        """How long the first queued job has waited that nobody has begun with; 0 if there is none."""
        waiting = [one for one in self.pending if one.state is JobState.QUEUED and one.bulk is bulk]
        since = min((one.since for one in waiting if one.since), default=self.read_at)
        return max(0.0, (self.read_at - since).total_seconds())

    @property
    def stalled(self) -> bool:
        """Somebody waits, and nothing has been done for longer than anything but a fault explains."""
        idle = self.last_result_age_s is None or self.last_result_age_s > _STALLED_AFTER_S
        return idle and self.longest_wait_s(bulk=False) > _STALLED_AFTER_S


async def read_figures(uow: UnitOfWork) -> Figures:
    now = utc_now()
    session, since = uow.session, now - RECENT
    due, due_since = await repository.due_deliveries(session, now)
    spans = await repository.spans_of_done_jobs(session, since, _MOST_SPANS)
    return Figures(
        read_at=now,
        pending=await repository.pending_jobs(session),
        recent=await repository.finished_jobs(session, since),
        recent_waits_s=sorted((finished - created).total_seconds() for created, finished in spans),
        last_result_age_s=_age_s(await repository.last_done_at(session), now),
        workers=await repository.count_workers(session, now - timedelta(seconds=WORKER_GONE_AFTER_S)),
        due_deliveries=due,
        oldest_due_delivery_s=_age_s(due_since, now),
        webhook_attempts=await repository.webhook_attempts(session, since),
    )


def _age_s(moment: datetime | None, now: datetime) -> float | None:
    return None if moment is None else max(0.0, (now - moment).total_seconds())


class LiveFigures:
    """The figures as this process read them last: however many ask, the database is asked now and then."""

    def __init__(self) -> None:
        self._figures: Figures | None = None
        self._read_at_s = 0.0
        self._turn = asyncio.Lock()

    async def read(self, store: Store) -> Figures:
        """Raises whatever the database does, when it can't be reached."""
        async with self._turn:
            if self._figures is None or time.monotonic() - self._read_at_s > _FRESH_S:
                async with store.reading() as uow:
                    self._figures = await read_figures(uow)
                self._read_at_s = time.monotonic()
            return self._figures
