"""Processes of this installation, as the supervisor sees them: started, watched, started again, stopped.

Each gets a session of its own, so that a Ctrl-C in the terminal reaches the supervisor alone, and ends with it in any case.
"""

from __future__ import annotations

import asyncio
import signal
import sys
import time
from asyncio.subprocess import Process
from collections.abc import Callable

import click

from app.integrations.parents import dying_with_parent

EXIT_SETUP = 2
EXIT_MODEL = 3
_FIRST_DELAY_S = 0.5
# A worker without a usable model must report that before the portal forgets it (WORKER_GONE_AFTER_S).
_LONGEST_DELAY_S = 15.0
_CALM_S = 60.0


async def spawn(*arguments: str) -> Process:
    """Start ``earmark ARGUMENTS``. Call it in the main thread: the kernel watches the thread that started a child."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "app.cli",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=dying_with_parent(),
    )


async def run_to_end(stop: asyncio.Event, *arguments: str) -> int | None:
    """Run ``earmark ARGUMENTS``; returns its exit code, or None if ``stop`` came first (then it was ended)."""
    process = await spawn(*arguments)
    ending = asyncio.create_task(process.wait())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait({ending, stopped}, return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if ending.done():
        return ending.result()
    process.terminate()
    await ending
    return None


class Child:
    """A process that is started again whenever it ends, until it is stopped."""

    def __init__(self, name: str, *, give_up: Callable[[int], None]) -> None:
        """``give_up`` is called with the exit code if a wrong setting makes another start pointless."""
        self.name = name
        self._give_up = give_up
        self._process: Process | None = None
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def started(self) -> bool:
        return self._task is not None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep(), name=self.name)

    async def stop(self, timeout_s: float) -> None:
        """Ask it to end; after ``timeout_s`` it is killed."""
        self._stopping.set()
        if self._task is None:
            return
        self._signal(signal.SIGTERM)
        await asyncio.wait({self._task}, timeout=timeout_s)
        if not self._task.done():
            click.echo(f"{self.name} does not stop within {timeout_s:.0f} s: ending it")
            self.kill()
            await self._task

    def kill(self) -> None:
        self._stopping.set()
        self._signal(signal.SIGKILL)

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.send_signal(number)

    async def _keep(self) -> None:
        delay_s = _FIRST_DELAY_S
        while not self._stopping.is_set():
            started_s = time.monotonic()
            code = await self._run_once()
            if self._stopping.is_set():
                return
            if code == EXIT_SETUP:
                self._give_up(code)
                return
            delay_s = _FIRST_DELAY_S if time.monotonic() - started_s > _CALM_S else delay_s
            if code != EXIT_MODEL:  # that one has said why
                click.echo(f"{self.name} ended with exit code {code}, starting it again in {delay_s:g} s", err=True)
            await self._pause(delay_s)
            delay_s = min(delay_s * 2, _LONGEST_DELAY_S)

    async def _run_once(self) -> int:
        self._process = await spawn(self.name)
        if self._stopping.is_set():  # asked while it was being started
            self._process.terminate()
        return await self._process.wait()

    async def _pause(self, pause_s: float) -> None:
        try:
            async with asyncio.timeout(pause_s):
                await self._stopping.wait()
        except TimeoutError:
            return
