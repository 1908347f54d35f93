"""``earmark worker``, put together: settings, connections, exit codes."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import uuid
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import structlog

from app.db.models import Worker
from app.domain.ids import new_id
from app.domain.views import ModelOut
from app.domain.workers import WorkerState
from app.inference import memory
from app.integrations.outage import Outage
from app.integrations.queue import ANALYSIS_QUEUE, BULK_QUEUE
from app.logs import configure_logging
from app.resources import Resources, open_resources
from app.services.models import active_model
from app.services.workers import remove_worker, report_worker
from app.settings import Settings
from workers.analysis import Analyst
from workers.bell import Line, answer
from workers.examination import Examiner
from workers.following import Follower
from workers.heartbeat import Heartbeat
from workers.process import EXIT_MODEL, EXIT_OK, EXIT_UNREACHABLE, run, stop_on_signals
from workers.serving import Loader, ModelUnavailable, Serving
from workers.shadowing import Shadow
from workers.trouble import Unreachable, pause, reaching
from workers.watchdog import watch

log = structlog.get_logger(__name__)

_FEWEST_JOBS = 4
_GIVE_BACK_EVERY_S = 1.0
_NO_MODEL = (
    "No model is active. Import one (earmark model import PATH) and activate it (earmark model activate NAME), "
    "or build the starter (earmark model starter)."
)


OpenLoader = Callable[[Settings], AbstractAsyncContextManager[Loader]]


def run_analysis(settings: Settings, open_loader: OpenLoader) -> int:
    """Work on jobs until SIGTERM or Ctrl-C; returns the exit code."""
    configure_logging(settings, "worker")
    return run(_analysis(settings, open_loader))


async def _analysis(settings: Settings, open_loader: OpenLoader) -> int:
    stop = stop_on_signals()
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
                group.create_task(_give_memory_back(stop))
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


async def _give_memory_back(stop: asyncio.Event) -> None:
    """What clips, pictures and batches leave behind is a tenth of the worker; at most ten milliseconds each time."""
    while not stop.is_set():
        await asyncio.to_thread(memory.give_back)
        await pause(stop, _GIVE_BACK_EVERY_S)


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
