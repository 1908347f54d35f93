"""``earmark chores``, put together. It needs nothing of what computes."""

from __future__ import annotations

import asyncio

import structlog

from app.logs import configure_logging
from app.resources import open_resources
from app.settings import Settings
from workers.chores import Chore, do_chores
from workers.clock import ClockWatch
from workers.deliveries import Postman
from workers.process import EXIT_OK, run, stop_on_signals
from workers.retention import Retainer
from workers.sources import SourceFetcher

log = structlog.get_logger(__name__)

_FETCH_EVERY_S = 1.0
_RETAIN_EVERY_S = 10.0
_CLOCK_EVERY_S = 2.0


def run_chores(settings: Settings) -> int:
    """Do chores until SIGTERM or Ctrl-C; returns the exit code."""
    configure_logging(settings, "chores")
    return run(_chores(settings))


async def _chores(settings: Settings) -> int:
    stop = stop_on_signals()
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
