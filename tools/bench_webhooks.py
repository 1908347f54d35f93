"""Webhooks under fire (`make bench-api`): how soon everything arrives while one endpoint hangs, one answers 500 and the sending
process is killed, and whether after all that anything is missing or wrongly signed.

The parts are the real ones: each event is recorded in a transaction of its own, `earmark chores` sends, a process of its own
receives.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import secrets
import socket
import sys
import tempfile
import time
import uuid
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import uvloop
from sqlalchemy import func, select

from app.db.engine import Database
from app.db.migrations import upgrade
from app.db.models import Asset, Event, Job
from app.db.uow import Store, UnitOfWork, Wakeup
from app.db.vault import Vault
from app.domain.genres import GENRES, tier_of
from app.domain.ids import utc_now
from app.domain.jobs import EventType, JobKind, JobState
from app.domain.media import Container
from app.domain.permissions import Principal, Role
from app.domain.results import ModelRef, Timings, Window, genre_result
from app.domain.webhook_views import EndpointCreated, NewEndpoint
from app.services.accounts import LOCAL_ISSUER, Identity, welcome
from app.services.delivery_log import redeliver_since
from app.services.events import record_event
from app.services.webhooks import create_endpoint

_SECRET_KEY = secrets.token_hex(32)
_ROOT = Path(__file__).resolve().parents[1]
_LIMIT_S = 60.0
_RECOVERY_LIMIT_S = 600.0
_LOOK_EVERY_S = 0.1
_MOODS = ("hanging", "failing")


class _Nobody:
    """Nothing is rung for: no worker is part of this."""

    async def wake(self, wakeups: list[Wakeup]) -> None: ...

    async def tell(self, changed_jobs: list[uuid.UUID]) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class End:
    """What came after the last event. ``all_s``: until the good endpoints had everything; ``recovered_s``: from the recovery
    of the other two until they had."""

    all_s: float
    recovered_s: float
    missing: int
    requests: int
    wrongly_signed: int

    @property
    def fine(self) -> bool:
        return self.all_s <= _LIMIT_S and not self.missing and not self.wrongly_signed


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    deliveries: int
    recorded_s: float
    kills: int
    end: End


# --- the two processes


@contextlib.asynccontextmanager
async def _process(*arguments: str, environment: dict[str, str] | None = None, **pipes: Any) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *arguments, cwd=_ROOT, env={**os.environ, **(environment or {})}, **pipes
    )
    try:
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class Receiver:
    """The receiving process, which takes one order at a time."""

    def __init__(self, process: Process) -> None:
        self._process = process

    async def order(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        await self._process.stdin.drain()
        answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return answer

    async def until_accepted(self, wanted: int, places: slice, timeout_s: float) -> int:
        """Wait for so many different events at each of these endpoints; returns how many are missing in the end."""
        ends_at = time.monotonic() + timeout_s
        while True:
            accepted: list[int] = (await self.order({"order": "count"}))["accepted"][places]
            missing = sum(wanted - count for count in accepted)
            if not missing or time.monotonic() > ends_at:
                return missing
            await asyncio.sleep(_LOOK_EVERY_S)


class Sender:
    """`earmark chores`, which can be killed."""

    def __init__(self, data_dir: Path, dsn: str) -> None:
        names = {"DATA_DIR": str(data_dir), "DATABASE_URL": dsn, "INTRANET_HOSTS": "127.0.0.1", "LOG_LEVEL": "error"}
        names["SECRET_KEY"] = _SECRET_KEY
        self._environment = {f"EARMARK_{name}": value for name, value in names.items()}
        self._stack = contextlib.AsyncExitStack()

    async def start(self) -> None:
        command = (sys.executable, "-m", "app.cli", "chores")
        await self._stack.enter_async_context(_process(*command, environment=self._environment, stdout=DEVNULL))

    async def kill(self) -> None:
        """SIGKILL, as the process's manager ends it."""
        await self._stack.aclose()


# --- what is recorded


async def _finished_job(store: Store, owner: Principal) -> uuid.UUID:
    """Such a one as the events are about, with a real result."""
    row = [0.7] + [0.02] * (len(GENRES) - 1)
    result = genre_result(
        [Window(0.0, 11.4, row), Window(11.4, 22.8, row)],
        analysed_seconds=30.0,
        audible=True,
        timings_ms=Timings(queued=5, fetch=1, decode=30, features=20, forward=60, total=116),
        model=ModelRef(name="bench", version="1", sha256="0" * 64, starter=True),
    )
    asset = Asset(sha256="0" * 64, size_bytes=1, name="track.mp3", container=Container.MP3)
    job = Job(asset=asset, kind=JobKind.GENRE, state=JobState.DONE, user_id=owner.user_id, finished_at=utc_now())
    job.result, job.genre, job.probability = msgspec.to_builtins(result), result.top1.genre, result.top1.probability
    job.tier = tier_of(result.top1.probability)
    async with store.writing() as uow:
        uow.session.add(job)
        await uow.session.flush()
        return job.id


async def _make_endpoints(uow: UnitOfWork, owner: Principal, ports: list[int]) -> list[EndpointCreated]:
    wanted = [NewEndpoint(url=f"http://127.0.0.1:{port}/hook") for port in ports]
    return [await create_endpoint(uow, owner, endpoint) for endpoint in wanted]


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """How many events, how many of them a second at most, and how often the sender is killed meanwhile."""

    events: int
    rate: float
    kills: int


async def _record(store: Store, job_id: uuid.UUID, sender: Sender, load: Load) -> float:
    """Record the events one by one, and kill the sender in between, at equal distances; returns the seconds it took."""
    started_s = time.monotonic()
    fatal = {load.events * (place + 1) // (load.kills + 1) for place in range(load.kills)}
    for number in range(load.events):
        await asyncio.sleep(max(0.0, started_s + number / load.rate - time.monotonic()))
        async with store.writing() as uow:
            await record_event(uow, EventType.JOB_DONE, job_id=job_id)
        if number in fatal:
            await sender.kill()
            await sender.start()
    return time.monotonic() - started_s


def _free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(server.getsockname()[1]) for server in sockets]
    for server in sockets:
        server.close()
    return ports


# --- the run


async def bench(data_dir: Path, dsn: str, *, endpoints: int, load: Load) -> Figures:
    """``dsn`` names an empty database."""
    database = Database(dsn, vault=Vault(_SECRET_KEY))
    await upgrade(database)
    store = Store(database, _Nobody())
    async with store.writing() as uow:
        owner = await welcome(
            uow, Identity(issuer=LOCAL_ISSUER, subject="bench", name="bench", email=None, role=Role.ADMIN)
        )
    async with store.writing() as uow:
        made = await _make_endpoints(uow, owner, ports := _free_ports(endpoints))
    orders = [
        {"secret": one.secret, "port": port, "mood": (*_MOODS, *["ok"] * endpoints)[place]}
        for place, (one, port) in enumerate(zip(made, ports, strict=True))
    ]
    script = str(Path(__file__).with_name("webhook_receiver.py"))
    sender = Sender(data_dir, dsn)
    async with _process(sys.executable, script, stdin=PIPE, stdout=PIPE) as process:
        receiver = Receiver(process)
        await receiver.order({"endpoints": orders})
        try:
            await sender.start()
            job_id = await _finished_job(store, owner)
            recorded_s = await _record(store, job_id, sender, load)
            end = await _after_the_last(store, owner, made, receiver)
            return Figures(deliveries=load.events * endpoints, recorded_s=recorded_s, kills=load.kills, end=end)
        finally:
            await sender.kill()
            await database.close()


async def _after_the_last(store: Store, owner: Principal, made: list[EndpointCreated], receiver: Receiver) -> End:
    """Wait for the good endpoints, let the others recover and ask for what they missed, count and check."""
    async with store.reading() as uow:
        events = await uow.session.scalar(select(func.count()).where(Event.type == EventType.JOB_DONE)) or 0
    ended_s = time.monotonic()
    missing = await receiver.until_accepted(events, slice(len(_MOODS), None), 10 * _LIMIT_S)
    all_s = time.monotonic() - ended_s
    await receiver.order({"order": "recover"})
    recovering_s = time.monotonic()
    async with store.writing() as uow:
        for one in made[: len(_MOODS)]:
            await redeliver_since(uow, owner, one.endpoint.id, one.endpoint.created_at, include_delivered=False)
    missing += await receiver.until_accepted(events, slice(len(_MOODS)), _RECOVERY_LIMIT_S)
    recovered_s = time.monotonic() - recovering_s
    counts = await receiver.order({"order": "count"})
    return End(
        all_s=all_s,
        recovered_s=recovered_s,
        missing=missing,
        requests=counts["requests"],
        wrongly_signed=counts["wrongly_signed"],
    )


def _show(figures: Figures, events: int) -> None:
    end = figures.end
    rate = figures.deliveries / (figures.recorded_s + end.all_s)
    for name, value in (
        ("events recorded", f"{events} in {figures.recorded_s:.1f} s ({events / figures.recorded_s:.0f}/s)"),
        ("deliveries", f"{figures.deliveries}, about {rate:.0f}/s"),
        ("good endpoints complete after the last event", f"{end.all_s:.1f} s (at most {_LIMIT_S:.0f})"),
        ("bad endpoints complete after their recovery", f"{end.recovered_s:.1f} s"),
        ("processes killed", str(figures.kills)),
        ("requests received", f"{end.requests}"),
        ("missing", f"{end.missing} (none)"),
        ("wrongly signed", f"{end.wrongly_signed} (none)"),
    ):
        print(f"{name:48} {value}")
    print("all is as it must be" if end.fine else "NOT as it must be")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--events", type=int, default=10_000)
    parser.add_argument("--endpoints", type=int, default=20)
    parser.add_argument("--rate", type=float, default=30, help="events a second: jobs do not end faster on two cores")
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--database", help="an empty PostgreSQL instead of SQLite, as postgresql+asyncpg://…")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        dsn = given.database or f"sqlite+aiosqlite:///{folder}/earmark.db"
        load = Load(events=given.events, rate=given.rate, kills=given.kills)
        figures = uvloop.run(bench(Path(folder), dsn, endpoints=given.endpoints, load=load))
    _show(figures, given.events)
    sys.exit(0 if figures.end.fine else 1)


if __name__ == "__main__":
    main()
