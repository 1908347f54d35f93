"""What the worker processes have in common: their event loop, signals and exit codes."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine

import uvloop

EXIT_OK = 0
EXIT_UNREACHABLE = 1
# The model is missing or damaged. Worth another try later: somebody may have mended it.
EXIT_MODEL = 3
_EXIT_INTERRUPTED = 130


def run(main: Coroutine[None, None, int]) -> int:
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(main)


def stop_on_signals() -> asyncio.Event:
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
