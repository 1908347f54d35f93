"""``earmark run``: set up what is missing, start all processes, watch over them, stop them in good order."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import click

from app.cli.children import Child, run_to_end
from app.cli.ports import check_port
from app.integrations.valkey import EmbeddedValkey, ValkeyError
from app.settings import PREFIX, Settings, SettingsError, load_settings

_LOCK_FILE = "run.lock"
_VALKEY_WATCH_S = 1.0
_READY_POLL_S = 0.1
_SAME_REQUEST_S = 0.5
# Beyond the drain time: what a worker needs to give back jobs and to let go of its processes.
_WORKER_MARGIN_S = 15.0
_CHORES_STOP_S = 15.0
_WEB_STOP_S = 15.0
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what a server listens on, a client can't connect to


class SetUpFailed(Exception):
    """A step of the set-up ended with this exit code; it has said why."""

    def __init__(self, code: int) -> None:
        self.code = code
        super().__init__(f"exit code {code}")


class Interrupted(Exception):
    """A stop was asked for during the set-up."""


@click.command()
def run() -> None:
    """Start everything on this machine: Valkey, web, worker and chores. Ctrl-C stops it, running jobs are finished first.

    The first start migrates the database and builds the starter model, which takes a minute or two.
    """
    settings = load_settings()
    settings.prepare_data_dir()
    with _only_run(settings):
        check_port(settings)
        sys.exit(asyncio.run(Supervisor(settings).run()))


@contextmanager
def _only_run(settings: Settings) -> Iterator[None]:
    """Refuse a second run on the same data folder.

    Raises:
        SettingsError: there is one.
    """
    with (settings.data_dir / _LOCK_FILE).open("a+") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise SettingsError(
                f"{PREFIX}DATA_DIR: another `earmark run` (process {lock.read().strip() or 'unknown'}) "
                f"already uses {settings.data_dir}"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


class Supervisor:
    """Starts the parts in the order of their needs and stops them in the reverse one."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._valkey = None if settings.redis_url else EmbeddedValkey(settings.data_dir)
        self._watch: asyncio.Task[None] | None = None
        self._stop = asyncio.Event()
        self._asked_at: float | None = None
        self._exit_code = 0
        self._web = Child("web", give_up=self._give_up)
        self._worker = Child("worker", give_up=self._give_up)
        self._chores = Child("chores", give_up=self._give_up)

    async def run(self) -> int:
        """Until SIGTERM or Ctrl-C; returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._on_signal, number)
        try:
            await self._start()
            await self._stop.wait()
        except SetUpFailed as failure:
            self._exit_code = failure.code
        except Interrupted:
            self._exit_code = 130
        finally:
            await self._shut_down()
        return self._exit_code

    def _on_signal(self, number: signal.Signals) -> None:
        """The first signal stops in good order, the second at once.

        Make, shells and service managers may hand one request on to us twice: what comes right behind the first is the first.
        """
        now = time.monotonic()
        if self._asked_at is None:
            self._asked_at = now
            click.echo(f"\nStopping ({number.name}).")
        elif now - self._asked_at > _SAME_REQUEST_S:
            click.echo("\nStopping at once.")
            for child in (self._worker, self._chores, self._web):
                child.kill()
        self._stop.set()

    def _give_up(self, code: int) -> None:
        self._exit_code = code
        self._stop.set()

    async def _start(self) -> None:
        click.echo(f"Starting Earmark with the data in {self._settings.data_dir.resolve()}")
        if self._valkey is not None:
            self._start_valkey(self._valkey)
            self._watch = asyncio.create_task(self._watch_valkey(self._valkey))
        await self._step("set-up")
        for child in (self._web, self._worker, self._chores):
            child.start()
        await self._wait_for_web()
        await self._welcome()

    async def _step(self, *arguments: str) -> None:
        code = await run_to_end(self._stop, *arguments)
        if code is None:
            raise Interrupted
        if code != 0:
            raise SetUpFailed(code)

    def _start_valkey(self, valkey: EmbeddedValkey) -> None:
        try:
            valkey.start()
        except ValkeyError as error:
            click.echo(str(error), err=True)
            raise SetUpFailed(1) from error

    async def _watch_valkey(self, valkey: EmbeddedValkey) -> None:
        while True:
            await asyncio.sleep(_VALKEY_WATCH_S)
            if not valkey.running:
                click.echo("the embedded Valkey server has ended, starting it again", err=True)
                try:
                    valkey.start()
                except ValkeyError as error:
                    click.echo(str(error), err=True)

    async def _wait_for_web(self) -> None:
        while not await self._web_answers():
            if self._stop.is_set():
                return
            await asyncio.sleep(_READY_POLL_S)

    async def _web_answers(self) -> bool:
        host = _EVERY_ADDRESS.get(self._settings.host, self._settings.host)
        try:
            reader, writer = await asyncio.open_connection(host, self._settings.port)
        except OSError:
            return False
        try:
            writer.write(b"GET /health/live HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            status = await reader.readline()
        except OSError:
            return False
        finally:
            writer.close()
        return b" 200 " in status

    async def _welcome(self) -> None:
        if self._stop.is_set():
            return
        click.echo(f"\nEarmark is ready: {self._settings.base_url}  (Ctrl-C stops it)")
        if self._settings.local_mode:
            await run_to_end(self._stop, "sign-in-link")

    async def _shut_down(self) -> None:
        drain_s = self._settings.drain_s
        if self._worker.started:
            click.echo(f"Running jobs may take up to {drain_s:g} s more; Ctrl-C again stops at once.")
        await self._worker.stop(drain_s + _WORKER_MARGIN_S)
        await self._chores.stop(_CHORES_STOP_S)
        await self._web.stop(_WEB_STOP_S)
        if self._watch is not None:
            self._watch.cancel()
        if self._valkey is not None:
            await asyncio.to_thread(self._valkey.stop)
        click.echo("Earmark has stopped.")
