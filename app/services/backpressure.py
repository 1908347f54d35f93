"""The queue is bounded: beyond that, new recordings are refused for now, rather than promised an analysis next week.

Urgent and bulk are counted each for itself, so a queue full of batches refuses nobody's single upload.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass, field
from datetime import timedelta

from app.db.repositories import queue as repository
from app.db.repositories.queue import Owner
from app.db.uow import Store
from app.domain.ids import utc_now
from app.domain.jobs import BULK_LANES, Lane
from app.domain.permissions import Principal
from app.errors import QueueFull

# A count holds so long: a burst within it may go a little over, by what other processes accept meanwhile.
_FRESH_S = 1.0
_RATE_WINDOW = timedelta(minutes=1)
# Whoever is refused comes back when this share of the queue has been worked off.
_ROOM_SHARE = 0.01
_SHORTEST_WAIT_S, _LONGEST_WAIT_S = 5, 300
# If nothing has been finished lately, nobody knows.
_UNKNOWN_WAIT_S = 60


@dataclass(frozen=True, slots=True)
class QueueLimits:
    """Most jobs that may wait: in the queue, and of one person or program in it."""

    jobs: int
    jobs_per_owner: int


@dataclass(slots=True)
class _Counts:
    """Jobs that wait, as far as this process knows."""

    read_at_s: float
    everybody: int
    by_owner: dict[Owner, int] = field(default_factory=dict)


def _fits(waiting: int, jobs: int, limit: int) -> bool:
    """A manifest that is longer than the limit would never fit: it has its turn when nothing waits."""
    return waiting + jobs <= limit or not waiting


class QueueBound:
    """Asked before a recording is taken in. One for each process."""

    def __init__(self, limits: QueueLimits) -> None:
        self.limits = limits
        self._counts: dict[bool, _Counts] = {}
        self._turn = asyncio.Lock()  # of many who find the counts old, one counts anew

    async def check(self, store: Store, caller: Principal, *, bulk: bool, jobs: int = 1) -> None:
        """
        Raises:
            QueueFull: there is no room for so many more jobs; says when to come back.
        """
        owner = (caller.user_id, caller.api_key_id)
        async with self._turn:
            counts = await self._read(store, owner, bulk=bulk)
        limits = self.limits
        own = counts.by_owner[owner]
        if not (_fits(counts.everybody, jobs, limits.jobs) and _fits(own, jobs, limits.jobs_per_owner)):
            raise QueueFull(retry_after_s=await self._wait_s(store))
        counts.everybody += jobs
        counts.by_owner[owner] += jobs

    async def _read(self, store: Store, owner: Owner, *, bulk: bool) -> _Counts:
        lanes = BULK_LANES if bulk else (Lane.URGENT,)
        counts = self._counts.get(bulk)
        if counts is None or time.monotonic() - counts.read_at_s > _FRESH_S:
            async with store.reading() as uow:
                everybody = await repository.count_waiting(uow.session, lanes)
            counts = self._counts[bulk] = _Counts(time.monotonic(), everybody)
        if owner not in counts.by_owner:
            async with store.reading() as uow:
                own = await repository.count_waiting(uow.session, lanes, owner)
            counts.by_owner.setdefault(owner, own)
        return counts

    async def _wait_s(self, store: Store) -> int:
        async with store.reading() as uow:
            finished = await repository.count_finished_since(uow.session, utc_now() - _RATE_WINDOW)
        if not finished:
            return _UNKNOWN_WAIT_S
        room = max(1.0, _ROOM_SHARE * self.limits.jobs)
        wait_s = math.ceil(room * _RATE_WINDOW.total_seconds() / finished)
        return min(_LONGEST_WAIT_S, max(_SHORTEST_WAIT_S, wait_s))
