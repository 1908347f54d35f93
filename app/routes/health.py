"""Is the process alive, and can it do its work?"""

from __future__ import annotations

import asyncio
from typing import Literal

import msgspec
import structlog
from litestar import Response, Router, get

from app.routes.deps import Parts, WebParts
from app.routes.guards import public
from app.services.monitoring import Figures
from app.services.workers import WorkersStatus, workers_status

log = structlog.stdlib.get_logger(__name__)

HEALTH_PREFIX = "/health"
_TIMEOUT_S = 3.0
_PROBES = public("asked by machines that have no account; names no data")

State = Literal["ok", "degraded", "down"]


class Live(msgspec.Struct, frozen=True):
    status: Literal["ok"]


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """Each part, and whether the work goes on. Null is what nobody can tell, because the database does not answer.

    ``status``: degraded means that uploads are accepted and kept, but are not analysed as they should be right now, or that
    they are refused since the virus scanner doesn't answer. ``scanner``: null where none is configured.
    ``workers``: down if none is ready; degraded if one says that something hinders it, or if somebody has waited for long and
    nothing is done. ``last_result_age_s``: none before the first result.
    """

    status: State
    database: State
    storage: State
    redis: State
    workers: State
    scanner: State | None = None
    workers_ready: int | None = None
    last_result_age_s: float | None = None
    longest_wait_s: float | None = None


@get("/live", opt=_PROBES, include_in_schema=False)
async def live() -> Live:
    """The process answers."""
    return Live("ok")


async def _workers(parts: WebParts) -> tuple[WorkersStatus, Figures]:
    async with parts.store.reading() as uow:
        status = await workers_status(uow)
    return status, await parts.figures.read(parts.store)


async def _scanner(parts: WebParts) -> None:
    if parts.scanner:
        await parts.scanner.check()


def _state_of(probe: object) -> State:
    return "down" if isinstance(probe, BaseException) else "ok"


def _state_of_workers(status: WorkersStatus, figures: Figures) -> State:
    if not status.ready:
        return "down"
    return "degraded" if status.trouble or figures.stalled else "ok"


def _ready(
    database: tuple[WorkersStatus, Figures] | BaseException, storage: State, redis: State, scanner: State | None
) -> Ready:
    if isinstance(database, BaseException):
        return Ready(status="down", database="down", storage=storage, redis=redis, workers="down", scanner=scanner)
    status, figures = database
    workers = _state_of_workers(status, figures)
    well = redis == workers == "ok" and scanner != "down"
    return Ready(
        status="down" if storage == "down" else "ok" if well else "degraded",
        database="ok",
        storage=storage,
        redis=redis,
        workers=workers,
        scanner=scanner,
        workers_ready=status.ready,
        last_result_age_s=figures.last_result_age_s,
        longest_wait_s=figures.longest_wait_s(bulk=False),
    )


@get("/ready", opt=_PROBES, include_in_schema=False)
async def ready(parts: Parts) -> Response[Ready]:
    """503 while the database or the storage can't be reached: then nothing works. Without a worker or Redis uploads are
    still accepted, and without the virus scanner all else goes on, so the answer is 200 and ``degraded``."""
    database, storage, redis, scanner = await asyncio.gather(
        asyncio.wait_for(_workers(parts), _TIMEOUT_S),
        asyncio.wait_for(parts.files.check(), _TIMEOUT_S),
        asyncio.wait_for(parts.check_redis(), _TIMEOUT_S),
        asyncio.wait_for(_scanner(parts), _TIMEOUT_S),
        return_exceptions=True,
    )
    body = _ready(database, _state_of(storage), _state_of(redis), _state_of(scanner) if parts.scanner else None)
    return Response(body, status_code=503 if body.status == "down" else 200)


def health_router() -> Router:
    return Router(HEALTH_PREFIX, route_handlers=[live, ready])
