"""`earmark run` as a test may have it: real processes and a real load, only the compute layer is a stand-in."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import httpx

from app.db.migrations import upgrade
from app.domain.api_keys import NewApiKey
from app.domain.genres import GENRE_IDS
from app.domain.jobs import JobKind
from app.domain.keys import example_key
from app.integrations.valkey import socket_path
from app.resources import Resources, open_resources
from app.services.api_keys import create_api_key, principals_of_api_keys
from app.services.models import NewModel, activate_model, register_model
from app.settings import Settings
from tests.support.families import connections_to, family_of, working_on
from tests.support.first_run import ROOT
from tests.support.processes import free_port
from tests.support.receiver import Receiver
from tests.support.waiting import wait_until
from tests.support.webhooks import make_endpoint

_PROGRAM = "tests.support.stand_in_earmark"
_STAND_IN = "tests.support.stand_in_worker:open_stand_ins"
# What a fault that nobody foresaw leaves in the log.
_FAULTS = ("Traceback", "unexpected error", "failed unexpectedly", "a chore failed", "a round of webhooks failed")
# Of a fault that was not foreseen.
_SHOWN_LINES = 60
_START_LIMIT_S = 60
_STOP_LIMIT_S = 60


class Service:
    """An installation in a folder, and its processes. ``settings`` are those of all of them, by field name."""

    def __init__(self, data_dir: Path, *, loader: str = _STAND_IN, **settings: str) -> None:
        self.data_dir, self.port = data_dir, free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.log_file = data_dir.parent / "log"
        own = {
            "data_dir": str(data_dir),
            "port": str(self.port),
            "lease_s": "2",
            "intranet_hosts": "127.0.0.0/8",
            "log_format": "json",
        }
        self.environment = {f"EARMARK_{name.upper()}": value for name, value in {**own, **settings}.items()}
        self.environment["TEST_LOADER"] = loader
        self.settings = Settings.model_validate({**own, **settings})
        self.run: subprocess.Popen[bytes] | None = None

    def spawn(self, *arguments: str, **settings: str) -> subprocess.Popen[bytes]:
        """A further process of this installation."""
        extra = {f"EARMARK_{name.upper()}": value for name, value in settings.items()}
        with self.log_file.open("ab") as log:
            return subprocess.Popen(
                [sys.executable, "-m", _PROGRAM, *arguments],
                cwd=ROOT,
                env={**os.environ, **self.environment, **extra},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @contextmanager
    def beside(self, *arguments: str, **settings: str) -> Iterator[subprocess.Popen[bytes]]:
        """A further process until the end of the context; it must end well when it is asked to."""
        process = self.spawn(*arguments, **settings)
        try:
            yield process
            process.terminate()
            assert process.wait(_STOP_LIMIT_S) == 0, self.end_of_log
        finally:
            process.kill()
            process.wait()

    async def start(self) -> None:
        """`earmark run`, until it answers and has a worker."""
        self.run = self.spawn("run")
        await self.until_ready()

    async def until_ready(self, *, port: int | None = None) -> None:
        """Until `earmark run`, or another web process at that port, has all it needs to do its work."""
        async with httpx.AsyncClient() as client, asyncio.timeout(_START_LIMIT_S):
            while await _status(client, port or self.port) != "ok":
                assert self.run is None or self.run.poll() is None, self.end_of_log
                await asyncio.sleep(0.1)

    def find(self, words: str, *, other_than: int = 0, wait: bool = True) -> int:
        """The id of a process below `earmark run` whose command line has the words; waits for it, or returns 0."""
        assert self.run is not None
        pid = self.run.pid

        def search() -> int:
            return next((it for it, command in family_of(pid).items() if words in command and it != other_than), 0)

        return wait_until(search, f"no process {words!r}\n{self.end_of_log}") if wait else search()

    async def kill(self, words: str) -> None:
        """SIGKILL to that process, and wait for the next one."""
        pid = await asyncio.to_thread(self.find, words)
        os.kill(pid, signal.SIGKILL)
        await asyncio.to_thread(self.find, words, other_than=pid)

    async def stop(self) -> None:
        """In good order; nothing is left behind: no process, no socket, no open connection."""
        assert self.run is not None
        await asyncio.to_thread(wait_until, lambda: connections_to(self.port) == 0, "connections are left open")
        self.run.terminate()
        code = await asyncio.to_thread(self.run.wait, _STOP_LIMIT_S)
        assert code == 0, self.end_of_log
        assert working_on(self.data_dir) == {}
        assert not socket_path(self.data_dir).exists()
        with socket.create_server(("127.0.0.1", self.port)):
            pass  # the port is free

    @property
    def log(self) -> str:
        return self.log_file.read_text(errors="replace")

    @property
    def end_of_log(self) -> str:
        return self.log[-3000:]

    def assert_no_unforeseen_fault(self) -> None:
        lines = self.log.splitlines()
        found = [number for number, line in enumerate(lines) if any(words in line for words in _FAULTS)]
        assert not found, "\n".join(lines[found[0] : found[0] + _SHOWN_LINES])

    def kill_all(self) -> None:
        """Whatever has happened: end every process of this installation."""
        for pid in working_on(self.data_dir):
            os.kill(pid, signal.SIGKILL)
        if self.run is not None:
            self.run.wait()


async def _status(client: httpx.AsyncClient, port: int) -> str | None:
    try:
        answer = await client.get(f"http://127.0.0.1:{port}/health/ready")
    except httpx.TransportError:
        return None
    return str(answer.json()["status"])


STAND_IN = NewModel(kind=JobKind.GENRE, name="stand-in", version="1", sha256="0" * 64, starter=False, card={})


async def _prepare(parts: Resources, model: NewModel) -> None:
    """A migrated database with the model, and the examples, which take long to synthesise."""
    await upgrade(parts.database)
    for genre_id in GENRE_IDS:
        await parts.files.put_bytes(example_key(genre_id), b"ID3")
    async with parts.store.writing() as uow:
        await register_model(uow, model)
        await activate_model(uow, model.name)


@asynccontextmanager
async def prepared(service: Service, model: NewModel = STAND_IN) -> AsyncIterator[Resources]:
    """Its database and files, seen from the test; all its processes have ended afterwards."""
    service.settings.prepare_data_dir()
    try:
        async with open_resources(service.settings) as parts:
            await _prepare(parts, model)
            yield parts
    finally:
        service.kill_all()


async def admit_program(parts: Resources, receiver: Receiver) -> str:
    """A program that may upload and is told of all events at the receiver; returns its API key."""
    async with parts.store.writing() as uow:
        made = await create_api_key(uow, NewApiKey(name="a program"))
    async with parts.store.reading() as uow:
        principal = (await principals_of_api_keys(uow, [made.key]))[made.key]
    await make_endpoint(parts.store, principal, receiver.url)
    return made.key
