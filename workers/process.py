"""The two worker processes, put together: settings, connections, signals, exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import uuid
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager

import structlog
import uvloop

from app.db.models import Worker
from app.domain.ids import new_id
from app.domain.workers import WorkerState
from app.integrations.outage import Outage
from app.logs import configure_logging
from app.resources import Resources, open_resources
from app.services.workers import remove_worker, report_worker
from app.settings import Settings
from workers.analysis import Analyst, LoadedModel, ModelUnavailable
from workers.bell import answer
from workers.chores import Chore, do_chores
from workers.deliveries import Postman
from workers.heartbeat import Heartbeat
from workers.sources import SourceFetcher
from workers.trouble import Unreachable, reaching

log = structlog.get_logger(__name__)

EXIT_OK = 0
EXIT_UNREACHABLE = 1
# The model is missing or damaged. Worth another try later: somebody may have mended it.
EXIT_MODEL = 3
_EXIT_INTERRUPTED = 130
_FEWEST_JOBS = 4
_FETCH_EVERY_S = 1.0


ModelOpener = Callable[[Settings, Resources], AbstractAsyncContextManager[LoadedModel]]


def run_analysis(settings: Settings, open_model: ModelOpener) -> int:
    """Work on jobs until SIGTERM or Ctrl-C; returns the exit code."""
    configure_logging(settings, "worker")
    return _run(_analysis(settings, open_model))


def run_chores(settings: Settings) -> int:
    """Do chores until SIGTERM or Ctrl-C; returns the exit code."""
    configure_logging(settings, "chores")
    return _run(_chores(settings))


def _run(main: Coroutine[None, None, int]) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def _stop_on_signals() -> asyncio.Event:
    """An event that SIGTERM or Ctrl-C sets; a second Ctrl-C ends the process at once."""
    stop = asyncio.Event()

    def interrupt() -> None:
        if stop.is_set():
            os._exit(_EXIT_INTERRUPTED)
        stop.set()

    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    loop.add_signal_handler(signal.SIGINT, interrupt)
    return stop


async def _chores(settings: Settings) -> int:
    stop = _stop_on_signals()
    async with open_resources(settings) as parts:
        log.info("chores started")
        sources = SourceFetcher(settings.intranet, settings.preferences)
        async with asyncio.TaskGroup() as group:
            group.create_task(do_chores(parts, stop, [Chore(sources.fetch_due, _FETCH_EVERY_S)]))
            group.create_task(Postman(parts).run(stop))
    log.info("chores stopped")
    return EXIT_OK


async def _analysis(settings: Settings, open_model: ModelOpener) -> int:
    stop = _stop_on_signals()
    worker_id = new_id()
    async with open_resources(settings) as parts:
        heartbeat = Heartbeat(worker_id, parts.store, lease_s=settings.lease_s)
        await heartbeat.start()
        try:
            async with open_model(settings, parts) as model:
                await _serve(settings, parts, model, worker_id=worker_id, heartbeat=heartbeat, stop=stop)
        except ModelUnavailable as error:
            await _report_failure(parts, str(error))
            return EXIT_MODEL
        except Unreachable:
            return EXIT_UNREACHABLE
        finally:
            await heartbeat.stop()
    log.info("worker stopped")
    return EXIT_OK


async def _serve(
    settings: Settings,
    parts: Resources,
    model: LoadedModel,
    *,
    worker_id: uuid.UUID,
    heartbeat: Heartbeat,
    stop: asyncio.Event,
) -> None:
    analyst = Analyst(
        worker_id,
        parts.store,
        parts.files,
        model=model,
        lease_s=settings.lease_s,
        defaults=settings.preferences,
    )

    async def ring(job_id: str) -> None:
        await analyst.handle(uuid.UUID(job_id))

    await heartbeat.serve(analyst, model.id)
    await _forget_failure(parts)
    log.info("worker ready", model=model.ref.name, version=model.ref.version, worker_id=str(worker_id))
    async with asyncio.TaskGroup() as group:
        group.create_task(_announce_stop(stop, heartbeat))
        group.create_task(
            answer(
                parts.redis_url,
                ring,
                stop,
                # A file of 30 s gives two windows: this fills one batch while another one computes.
                max_jobs=max(_FEWEST_JOBS, settings.batch_windows),
                drain_s=settings.drain_s,
                release=analyst.close,
            )
        )


async def _announce_stop(stop: asyncio.Event, heartbeat: Heartbeat) -> None:
    await stop.wait()
    log.info("worker stops: no new jobs, waiting for the running ones")
    heartbeat.state = WorkerState.STOPPING
    await heartbeat.beat()


async def _report_failure(parts: Resources, message: str) -> None:
    """Leave word where the portal looks, under an id that the next try on this machine shares; log it if it is news."""
    outage = Outage("database")
    news = True
    try:
        with reaching(outage):
            async with parts.store.writing() as uow:
                known = await uow.session.get(Worker, _failed_start_id())
                news = known is None or known.message != message
                await report_worker(uow, _failed_start_id(), WorkerState.FAILED, message=message)
    except Unreachable:
        pass
    if news:
        log.error("the worker can't start", reason=message)


async def _forget_failure(parts: Resources) -> None:
    with contextlib.suppress(Unreachable), reaching(Outage("database")):
        async with parts.store.writing() as uow:
            await remove_worker(uow, _failed_start_id())


def _failed_start_id() -> uuid.UUID:
    return uuid.uuid5(uuid.NAMESPACE_DNS, f"{socket.gethostname()}/failed-start")
