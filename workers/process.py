"""The two worker processes, put together: settings, connections, signals, exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
import socket
import uuid
from collections.abc import Callable, Coroutine
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import structlog
import uvloop

from app.db.models import Worker
from app.domain.ids import new_id
from app.domain.views import ModelOut
from app.domain.workers import WorkerState
from app.integrations.outage import Outage
from app.integrations.queue import ANALYSIS_QUEUE, BULK_QUEUE
from app.logs import configure_logging
from app.resources import Resources, open_resources
from app.services.models import active_model
from app.services.workers import remove_worker, report_worker
from app.settings import Settings
from workers.analysis import Analyst
from workers.bell import Line, answer
from workers.chores import Chore, do_chores
from workers.clock import ClockWatch
from workers.deliveries import Postman
from workers.examination import Examiner
from workers.following import Follower
from workers.heartbeat import Heartbeat
from workers.retention import Retainer
from workers.serving import Loader, ModelUnavailable, Serving
from workers.shadowing import Shadow
from workers.sources import SourceFetcher
from workers.trouble import Unreachable, reaching
from workers.watchdog import watch

log = structlog.get_logger(__name__)

EXIT_OK = 0
EXIT_UNREACHABLE = 1
# The model is missing or damaged. Worth another try later: somebody may have mended it.
EXIT_MODEL = 3
_EXIT_INTERRUPTED = 130
_FEWEST_JOBS = 4
_FETCH_EVERY_S = 1.0
_RETAIN_EVERY_S = 10.0
_CLOCK_EVERY_S = 2.0
_NO_MODEL = (
    "No model is active. Import one (earmark model import PATH) and activate it (earmark model activate NAME), "
    "or build the starter (earmark model starter)."
)


OpenLoader = Callable[[Settings], AbstractAsyncContextManager[Loader]]


def run_analysis(settings: Settings, open_loader: OpenLoader) -> int:
    """Work on jobs until SIGTERM or Ctrl-C; returns the exit code."""
    configure_logging(settings, "worker")
    return _run(_analysis(settings, open_loader))


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
        retainer = Retainer(settings.preferences, settings.storage_cold_class)
        async with asyncio.TaskGroup() as group:
            more = [
                Chore(sources.fetch_due, _FETCH_EVERY_S),
                Chore(retainer.do_round, _RETAIN_EVERY_S),
                Chore(ClockWatch().look, _CLOCK_EVERY_S),
            ]
            group.create_task(do_chores(parts, stop, more))
            group.create_task(Postman(parts).run(stop))
    log.info("chores stopped")
    return EXIT_OK


async def _analysis(settings: Settings, open_loader: OpenLoader) -> int:
    stop = _stop_on_signals()
    worker_id = new_id()
    async with open_resources(settings) as parts:
        heartbeat = Heartbeat(worker_id, parts.store, lease_s=settings.lease_s)
        await heartbeat.start()
        try:
            first = await _active_model(parts)
            async with open_loader(settings) as loader, Serving(loader, first) as serving:
                service = _Service(settings, parts, heartbeat, loader, serving)
                await service.run(worker_id, stop)
        except ModelUnavailable as error:
            await _report_failure(parts, str(error))
            return EXIT_MODEL
        except Unreachable:
            return EXIT_UNREACHABLE
        finally:
            await heartbeat.stop()
    log.info("worker stopped")
    return EXIT_OK


async def _active_model(parts: Resources) -> ModelOut:
    with reaching(Outage("database")):
        async with parts.store.reading() as uow:
            model = await active_model(uow)
    if model is None:
        raise ModelUnavailable(_NO_MODEL)
    return model


@dataclass(frozen=True, slots=True)
class _Service:
    """A worker with a model: everything that runs in it until it is stopped."""

    settings: Settings
    parts: Resources
    heartbeat: Heartbeat
    loader: Loader
    serving: Serving

    async def run(self, worker_id: uuid.UUID, stop: asyncio.Event) -> None:
        analyst = self._analyst(worker_id)
        shadow = Shadow(self.loader, self.parts.store, idle=analyst.idle)
        analyst.tell = shadow.offer
        follower = Follower(self.parts.store, self.serving, shadow, tell=self.heartbeat.beat)
        await self.heartbeat.serve(analyst, self.serving)
        await _forget_failure(self.parts)
        gc.enable()  # which the start does without
        ref = self.serving.current.ref
        log.info("worker ready", model=ref.name, version=ref.version, worker_id=str(worker_id))
        comparing = asyncio.create_task(shadow.work(), name="shadow")
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._announce_stop(stop, analyst))
                group.create_task(follower.follow(stop))
                group.create_task(watch(analyst, stop, limit_s=self.settings.job_limit_s))
                for queue_name in (ANALYSIS_QUEUE, BULK_QUEUE):
                    group.create_task(self._answer(queue_name, analyst, stop))
        finally:
            comparing.cancel()
            await asyncio.wait({comparing})
            await shadow.close()

    def _analyst(self, worker_id: uuid.UUID) -> Analyst:
        settings = self.settings
        settings.cache_dir.mkdir(parents=True, exist_ok=True)
        return Analyst(
            worker_id,
            self.parts.store,
            Examiner(self.parts.files, scratch_dir=settings.cache_dir),
            models=self.serving,
            lease_s=settings.lease_s,
            defaults=settings.preferences,
        )

    async def _answer(self, queue_name: str, analyst: Analyst, stop: asyncio.Event) -> None:
        """Listen at one queue. Each has places of its own, so a full one keeps nobody waiting in the other."""

        async def ring(job_id: str) -> None:
            await analyst.handle(uuid.UUID(job_id))

        # A file of 30 s gives two windows: this fills one batch while another one computes.
        max_jobs = max(_FEWEST_JOBS, self.settings.batch_windows)
        line = Line(redis_url=self.parts.redis_url, queue_name=queue_name, max_jobs=max_jobs)
        await answer(line, ring, stop, drain_s=self.settings.drain_s, release=analyst.release)

    async def _announce_stop(self, stop: asyncio.Event, analyst: Analyst) -> None:
        await stop.wait()
        analyst.close()
        log.info("worker stops: no new jobs, waiting for the running ones")
        self.heartbeat.state = WorkerState.STOPPING
        await self.heartbeat.beat()


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
