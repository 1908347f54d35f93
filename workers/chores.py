"""Chores: what has to be done now and then. Each may be repeated and may run in several processes at once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

import structlog

from app.domain.ids import utc_now
from app.integrations.outage import Outage
from app.resources import Resources
from app.services.accounts import forget_expired
from app.services.analyses import requeue_lost, ring_again
from app.services.batches import close_idle
from app.services.deliveries import seal_readable
from app.services.delivery_log import forget_old
from app.services.direct_uploads import forget_expired_uploads
from app.services.idempotency import forget_old_answers
from app.services.orphans import PREFIXES, unknown_keys
from app.services.workers import forget_old_workers
from workers.trouble import Unreachable, pause, reaching

log = structlog.get_logger(__name__)

_RING_AGAIN_AFTER_S = 10.0
# An upload is in storage before its row is in the database; none takes this long.
_ORPHAN_AGE = timedelta(hours=1)


async def sweep_jobs(parts: Resources) -> None:
    """Take jobs from workers that fell silent; ring again for jobs that nobody seems to have heard of."""
    async with parts.store.writing() as uow:
        lost = await requeue_lost(uow)
        unheard = await ring_again(uow, after_s=_RING_AGAIN_AFTER_S)
    if lost:
        log.warning("workers fell silent over jobs", jobs=lost)
    if unheard:
        log.debug("rang again", jobs=unheard)


async def close_batches(parts: Resources) -> None:
    """Close batches that nobody adds to any more, so that their end is told."""
    async with parts.store.writing() as uow:
        closed = await close_idle(uow)
    if closed:
        log.info("closed batches that were left open", batches=closed)


async def forget(parts: Resources) -> None:
    """Delete sessions, links, kept answers, abandoned uploads and signs of life whose time is over."""
    async with parts.store.writing() as uow:
        await forget_expired(uow)
        await forget_old_answers(uow)
        await forget_expired_uploads(uow)
        await forget_old_workers(uow)


async def forget_deliveries(parts: Resources) -> None:
    """Delete deliveries and events whose time is over."""
    async with parts.store.writing() as uow:
        forgotten = await forget_old(uow)
    if forgotten:
        log.info("deleted old deliveries and events", rows=forgotten)


async def seal_secrets(parts: Resources) -> None:
    """Seal the secrets of webhooks that a version before this one has stored readable."""
    async with parts.store.writing() as uow:
        sealed = await seal_readable(uow)
    if sealed:
        log.info("sealed secrets of webhooks", secrets=sealed)


async def delete_orphans(parts: Resources) -> None:
    """Delete files that no row knows, and halves of files."""
    before = utc_now() - _ORPHAN_AGE
    if unfinished := await parts.files.delete_unfinished(before):
        log.info("deleted what uploads that were cut off had left", files=unfinished)
    for prefix in PREFIXES:
        async for keys in parts.files.keys_older_than(prefix, before):
            async with parts.store.reading() as uow:
                orphans = await unknown_keys(uow, keys)
            for key in orphans:
                await parts.files.delete(key)
            if orphans:
                log.info("deleted files that no job knows", files=len(orphans))


@dataclass(frozen=True, slots=True)
class Chore:
    """Something to be done every ``every_s`` seconds."""

    run: Callable[[Resources], Awaitable[None]]
    every_s: float


CHORES = (
    Chore(sweep_jobs, 2),
    Chore(close_batches, 30),
    Chore(forget, 60),
    Chore(forget_deliveries, 60),
    Chore(seal_secrets, 600),
    Chore(delete_orphans, 600),
)


async def do_chores(parts: Resources, stop: asyncio.Event, more: Sequence[Chore] = ()) -> None:
    """Do all chores in their rhythm until ``stop``; what one is at is finished. ``more``: those that need settings."""
    async with asyncio.TaskGroup() as group:
        for chore in (*CHORES, *more):
            group.create_task(_repeat(chore, parts, stop), name=chore.run.__name__)


async def _repeat(chore: Chore, parts: Resources, stop: asyncio.Event) -> None:
    outage = Outage(f"database or storage ({chore.run.__name__})")
    while not stop.is_set():
        try:
            with reaching(outage):
                await chore.run(parts)
        except Unreachable:
            pass
        except Exception:  # one chore's fault must not stop the others, nor its own next round
            log.exception("a chore failed", chore=chore.run.__name__)
        await pause(stop, chore.every_s)
