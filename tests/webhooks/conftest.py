from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from app.db.engine import Database
from app.db.uow import Store
from app.domain.addresses import IntranetHosts
from app.domain.api_keys import NewApiKey
from app.domain.permissions import Principal
from app.integrations.files import Files
from app.integrations.queue import RedisOutside
from app.resources import Resources
from app.services.api_keys import create_api_key, principals_of_api_keys
from workers.deliveries import Postman

LOOPBACK = IntranetHosts.parse(["127.0.0.0/8"])
# Seconds instead of hours.
QUICK_S = (0.05,) * 9


@pytest.fixture
async def parts(database: Database, store: Store, files: Files, tmp_path: Path) -> AsyncIterator[Resources]:
    """Resources that may call this machine itself."""
    unused = RedisOutside(f"unix://{tmp_path}/nobody.sock")
    yield Resources(database, unused, store, files, "", LOOPBACK)
    await unused.close()


Posting = Callable[..., AbstractAsyncContextManager[None]]


@pytest.fixture
def posting(parts: Resources, monkeypatch: pytest.MonkeyPatch) -> Posting:
    """Webhooks are sent while this is open."""
    monkeypatch.setattr("workers.deliveries._IDLE_S", 0.02)

    @contextlib.asynccontextmanager
    async def open_(timeout_s: float = 15.0, delays_s: tuple[float, ...] = QUICK_S) -> AsyncIterator[None]:
        stop = asyncio.Event()
        task = asyncio.create_task(Postman(parts, delays_s=delays_s, timeout_s=timeout_s).run(stop))
        try:
            yield
        finally:
            stop.set()
            await asyncio.wait_for(task, 20)

    return open_


@pytest.fixture
async def program(store: Store) -> Principal:
    """A program with an API key."""
    async with store.writing() as uow:
        made = await create_api_key(uow, NewApiKey(name="a program"))
    async with store.reading() as uow:
        return (await principals_of_api_keys(uow, [made.key]))[made.key]
