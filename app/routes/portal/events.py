"""One stream for each open page: it names the jobs that have changed, and the page fetches what it shows of them."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator

from litestar import get
from litestar.response import ServerSentEvent, ServerSentEventMessage

from app.domain.jobs import CANCELLABLE_STATES
from app.domain.permissions import Permission, Principal
from app.routes.deps import Caller, Parts, WebParts
from app.routes.events import KEEP_ALIVE_S, LIFETIME_S, LOOK_AGAIN_S, RETRY_MS
from app.routes.guards import needs
from app.services.jobs import PAGE_LIMIT, JobFilter, list_jobs

_Unfinished = set[tuple[uuid.UUID, str, int]]


async def _unfinished(parts: WebParts, caller: Principal) -> _Unfinished:
    """The latest jobs that can still change by themselves, with what shows that they have."""
    async with parts.store.uncut_reading() as uow:
        pages = [await list_jobs(uow, caller, JobFilter(state=state), limit=PAGE_LIMIT) for state in CANCELLABLE_STATES]
    return {(job.id, job.state, job.attempt) for page in pages for job in page.items}


def _changed(before: _Unfinished, now: _Unfinished) -> set[uuid.UUID]:
    return {job_id for job_id, _, _ in before ^ now}


async def changes(
    parts: WebParts, caller: Principal, *, lifetime_s: float = LIFETIME_S, look_again_s: float = LOOK_AGAIN_S
) -> AsyncIterator[ServerSentEventMessage]:
    """An event ``job`` with the id of each job that changes.

    The doorbell may be broken, so every time it stays silent the database is asked too.
    """
    ends_at = time.monotonic() + lifetime_s
    with parts.progress.subscribe() as subscription:
        known = await _unfinished(parts, caller)
        yield ServerSentEventMessage(event="ready", data="{}", retry=RETRY_MS)
        spoken_at = time.monotonic()
        while (now := time.monotonic()) < ends_at:
            changed = await subscription.wait(min(look_again_s, ends_at - now))
            if not changed:
                before, known = known, await _unfinished(parts, caller)
                changed = _changed(before, known)
            for job_id in changed:
                yield ServerSentEventMessage(event="job", data=str(job_id))
            if changed:
                spoken_at = time.monotonic()
            elif time.monotonic() - spoken_at > KEEP_ALIVE_S:
                yield ServerSentEventMessage(comment="still here", data=None)
                spoken_at = time.monotonic()


@get("/events", opt=needs(Permission.JOBS_READ))
async def events(parts: Parts, caller: Caller) -> ServerSentEvent:
    return ServerSentEvent(changes(parts, caller), headers={"Cache-Control": "no-store"})
