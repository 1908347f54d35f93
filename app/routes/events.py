"""Server-sent events: one job until it ends."""

from __future__ import annotations

import time
import uuid
from collections.abc import AsyncIterator

import msgspec
from litestar.response import ServerSentEvent, ServerSentEventMessage

from app.domain.permissions import Principal
from app.domain.views import JobOut
from app.errors import JobNotFound
from app.routes.deps import Subscription, WebParts
from app.services import jobs

# An open stream holds up a restart of the server, so none lasts long; clients connect again by themselves.
LIFETIME_S = 120.0
RETRY_MS = 1000
# The doorbell may be broken: look into the database anyway.
LOOK_AGAIN_S = 2.0
KEEP_ALIVE_S = 15.0


async def _read(parts: WebParts, caller: Principal, job_id: uuid.UUID) -> JobOut | None:
    try:
        async with parts.store.uncut_reading() as uow:
            return await jobs.get_job(uow, caller, job_id)
    except JobNotFound:
        return None


async def wait_for_news(subscription: Subscription, job_id: uuid.UUID, timeout_s: float) -> None:
    """Until somebody says that this job has changed, or until it is time to look anyway."""
    ends_at = time.monotonic() + timeout_s
    while (left_s := ends_at - time.monotonic()) > 0:
        if job_id in await subscription.wait(left_s):
            return


async def job_messages(
    parts: WebParts, caller: Principal, job_id: uuid.UUID, *, lifetime_s: float = LIFETIME_S
) -> AsyncIterator[ServerSentEventMessage]:
    """An event ``job`` at once and at every change until the job's state is final, or ``deleted`` if it is deleted.

    Listens before it looks, so that no change falls in between.
    """
    sent: JobOut | None = None
    spoken_at = time.monotonic()
    ends_at = spoken_at + lifetime_s
    with parts.progress.subscribe() as subscription:
        while (now := time.monotonic()) < ends_at:
            job = await _read(parts, caller, job_id)
            if job is None:
                yield ServerSentEventMessage(event="deleted", data="{}")
                return
            if job != sent:
                yield ServerSentEventMessage(event="job", data=msgspec.json.encode(job), retry=RETRY_MS)
                sent, spoken_at = job, now
            elif now - spoken_at > KEEP_ALIVE_S:
                yield ServerSentEventMessage(comment="still here", data=None)
                spoken_at = now
            if job.state.final:
                return
            await wait_for_news(subscription, job_id, min(LOOK_AGAIN_S, ends_at - now))


def job_events(parts: WebParts, caller: Principal, job_id: uuid.UUID) -> ServerSentEvent:
    return ServerSentEvent(job_messages(parts, caller, job_id), headers={"Cache-Control": "no-store"})
