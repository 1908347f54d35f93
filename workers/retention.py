"""Retention, executed: slice after slice, until nothing is over its time. What is interrupted goes on at the next round."""

from __future__ import annotations

import math
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import structlog

from app.db.uow import UnitOfWork
from app.domain.preferences import Preferences
from app.domain.retention import ColdClass, Retention
from app.integrations.files import FileGone
from app.resources import Resources
from app.services import retention
from app.services.preferences import current
from app.services.retention import SLICE, Slice, Warm

log = structlog.get_logger(__name__)

# A round is short, so that the process can stop; once nothing is left, it is looked for again after an hour.
_ROUND_S = 5.0
_REST_S = 3600.0

_Act = Callable[[UnitOfWork, Retention], Awaitable[Slice]]


@dataclass(frozen=True, slots=True)
class _Step:
    """What is deleted, by which rule."""

    what: str
    days: int
    act: _Act


class Retainer:
    """Does what the preferences in force ask for; ``defaults`` are those of the settings."""

    def __init__(self, defaults: Preferences, cold_class: ColdClass) -> None:
        self._defaults, self._cold_class = defaults, cold_class
        self._due_at_s = -math.inf

    async def do_round(self, parts: Resources) -> None:
        """For the chores: some of it, if it is time."""
        if time.monotonic() >= self._due_at_s and await self.enforce(parts, within_s=_ROUND_S):
            self._due_at_s = time.monotonic() + _REST_S

    async def enforce(self, parts: Resources, *, within_s: float = math.inf) -> bool:
        """Until nothing is left (True), or the time is over; at least one slice of each kind."""
        until_s = time.monotonic() + within_s
        async with parts.store.reading() as uow:
            wanted = (await current(uow, self._defaults)).retention
        steps = (
            _Step("recordings", wanted.results_days, retention.delete_results),
            _Step("audio", wanted.audio_days, retention.delete_audio),
            _Step("audit log", wanted.audit_days, retention.shorten_audit_log),
        )
        finished = [await _do_slices(parts, wanted, step, until_s) for step in steps if step.days]
        if wanted.cold_days and parts.files.has_storage_classes:
            finished.append(await self._cool(parts, wanted, until_s))
        return all(finished)

    async def _cool(self, parts: Resources, wanted: Retention, until_s: float) -> bool:
        while True:
            async with parts.store.reading() as uow:
                warm = await retention.warm_audio(uow, wanted)
            cooled = []
            for one in warm:
                await self._move(parts, one)
                cooled.append(one)
                if time.monotonic() >= until_s:
                    break
            if cooled:
                async with parts.store.writing() as uow:
                    await retention.record_cooled(uow, cooled, wanted.cold_days)
                log.info("moved audio to the cold storage class", count=len(cooled), storage_class=self._cold_class)
            if len(cooled) < SLICE:
                return len(cooled) == len(warm)

    async def _move(self, parts: Resources, one: Warm) -> None:
        try:
            await parts.files.move_to_class(one.key, self._cold_class)
        except FileGone:  # deleted meanwhile, or lost: there is nothing to move, now or ever
            log.warning("audio to be moved is not in storage", key=one.key)


async def _do_slices(parts: Resources, wanted: Retention, step: _Step, until_s: float) -> bool:
    while True:
        async with parts.store.writing() as uow:
            done = await step.act(uow, wanted)
        for key in done.keys:
            await parts.files.delete(key)
        if done.count:
            log.info("deleted what was over its time", what=step.what, count=done.count, days=step.days)
        if done.count < SLICE or time.monotonic() >= until_s:
            return done.count < SLICE
