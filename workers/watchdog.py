"""A worker in which a job hangs ends itself: a device or a thread that is stuck can't be freed from within."""

from __future__ import annotations

import asyncio
import logging
import os

import structlog

from workers.analysis import Analyst
from workers.trouble import pause

log = structlog.get_logger(__name__)

EXIT_STUCK = 4
_LOOK_EVERY_S = 1.0


async def watch(analyst: Analyst, stop: asyncio.Event, *, limit_s: float) -> None:
    """Until ``stop``; ends the process as soon as a job has made no progress for longer than ``limit_s``.

    The leases of its jobs run out then, and other workers take them up; the one that hangs fails with the third worker.
    """
    while not stop.is_set():
        if analyst.still_s > limit_s:
            log.critical("a job makes no progress: ending this worker", limit_s=limit_s)
            logging.shutdown()
            os._exit(EXIT_STUCK)
        await pause(stop, _LOOK_EVERY_S)
