"""Is the process alive, and can it do its work?"""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec
import structlog
from litestar import Response, Router, get

from app.routes.deps import Parts, WebParts
from app.routes.guards import public
from app.services.workers import WorkersStatus, workers_status

log = structlog.stdlib.get_logger(__name__)

HEALTH_PREFIX = "/health"
_TIMEOUT_S = 3.0
_PROBES = public("asked by machines that have no account; names no data")

State = Literal["ok", "degraded", "down"]


class Live(msgspec.Struct, frozen=True):
    status: Literal["ok"]


class Ready(msgspec.Struct, frozen=True):
    """``degraded``: uploads are accepted and kept, but nobody works on them right now."""

    status: State
    database: State
    storage: State
    redis: State
    workers: State


@get("/live", opt=_PROBES, include_in_schema=False)
async def live() -> Live:
    """The process answers."""
    return Live("ok")


async def _workers(parts: WebParts) -> WorkersStatus:
    async with parts.store.reading() as uow:
        return await workers_status(uow)


@get("/ready", opt=_PROBES, include_in_schema=False)
async def ready(parts: Parts) -> Response[Ready]:
    """503 while the database or the storage can't be reached: then nothing works. Without a worker or Redis uploads are
    still accepted, so the answer is 200 and ``degraded``."""
    workers, storage, redis = await asyncio.gather(
        *(asyncio.wait_for(probe, _TIMEOUT_S) for probe in (_workers(parts), parts.files.check(), parts.check_redis())),
        return_exceptions=True,
    )
    down: list[State] = ["down" if isinstance(part, BaseException) else "ok" for part in (workers, storage, redis)]
    has_worker = isinstance(workers, WorkersStatus) and workers.ready > 0
    essential = "down" not in down[:2]
    status: State = "down" if not essential else "ok" if has_worker and down[2] == "ok" else "degraded"
    body = Ready(status, down[0], down[1], down[2], "ok" if has_worker else "down")
    return Response(body, status_code=200 if essential else 503)


def health_router() -> Router:
    return Router(HEALTH_PREFIX, route_handlers=[live, ready])
