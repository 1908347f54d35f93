"""Following a job by server-sent events, through a real server."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from app.integrations.valkey import EmbeddedValkey
from app.routes import events
from app.routes.deps import WebParts, parts_of_app
from app.services import jobs
from app.settings import Settings
from tests.support.factories import ADMIN, claim, finish_job, make_job, make_principal
from tests.support.portal import new_app
from tests.support.web import make_key, served


@pytest.fixture
async def valkey(tmp_path: Path) -> AsyncIterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "valkey")
    server.start()
    yield server
    server.stop()


@pytest.fixture
def settings(tmp_path: Path, sqlite_dsn: str, valkey: EmbeddedValkey) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=sqlite_dsn, redis_url=valkey.url)


async def _blocks(answer: httpx.Response) -> AsyncIterator[dict[str, str]]:
    block: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line:
            name, _, value = line.partition(": ")
            block[name] = value
        else:
            yield block
            block = {}


async def test_every_change_is_told_until_the_job_is_done(settings: Settings):
    app = await new_app(settings)
    async with served(app) as address:
        parts = parts_of_app(app)
        job = await make_job(parts.store, await make_principal(parts.store))
        headers = {"authorization": f"Bearer {await make_key(parts)}"}
        async with (
            httpx.AsyncClient(base_url=address, headers=headers, timeout=30) as client,
            client.stream("GET", f"/api/v1/jobs/{job.id}/events") as answer,
        ):
            assert answer.headers["content-type"].startswith("text/event-stream")
            assert answer.headers["cache-control"] == "no-store"
            blocks = _blocks(answer)
            states = [await anext(blocks)]
            async with parts.store.writing() as uow:
                await claim(uow, job.id)
            states.append(await anext(blocks))
            async with parts.store.writing() as uow:
                await jobs.cancel_job(uow, await make_principal(parts.store), job.id)
            states += [block async for block in blocks]
    assert {block["event"] for block in states} == {"job"}
    assert [json.loads(block["data"])["state"] for block in states] == ["queued", "running", "cancelled"]
    assert states[0]["retry"] == str(events.RETRY_MS)


async def _message(parts: WebParts, job_id: uuid.UUID, **limits: float) -> AsyncIterator[str]:
    async for message in events.job_messages(parts, ADMIN, job_id, **limits):
        yield message.encode().decode()


async def test_without_redis_the_database_is_asked_again(
    parts: WebParts, valkey: EmbeddedValkey, monkeypatch: pytest.MonkeyPatch
):
    valkey.stop()
    monkeypatch.setattr(events, "LOOK_AGAIN_S", 0.05)
    job = await make_job(parts.store, await make_principal(parts.store))
    messages = _message(parts, job.id)
    assert '"queued"' in await anext(messages)
    await finish_job(parts.store, job.id)
    assert '"done"' in await anext(messages)
    assert [message async for message in messages] == []


async def test_a_stream_ends_by_itself_and_keeps_the_connection_alive_till_then(
    parts: WebParts, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(events, "LOOK_AGAIN_S", 0.01)
    monkeypatch.setattr(events, "KEEP_ALIVE_S", 0.0)
    job = await make_job(parts.store, await make_principal(parts.store))
    first, *rest = [message async for message in _message(parts, job.id, lifetime_s=0.3)]
    assert first.startswith("event: job\r\n")
    assert rest
    assert set(rest) == {": still here\r\n\r\n"}


async def test_a_job_that_is_deleted_ends_its_stream(parts: WebParts, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(events, "LOOK_AGAIN_S", 0.05)
    una = await make_principal(parts.store)
    job = await make_job(parts.store, una)
    messages = _message(parts, job.id)
    await anext(messages)
    async with parts.store.writing() as uow:
        await jobs.delete_job(uow, una, job.id)
    assert [message async for message in messages] == ["event: deleted\r\ndata: {}\r\n\r\n"]


async def test_an_open_stream_holds_no_transaction(parts: WebParts):
    """On SQLite a forgotten write transaction would lock everybody out."""
    job = await make_job(parts.store, await make_principal(parts.store))
    messages = _message(parts, job.id)
    await anext(messages)
    waiting = asyncio.ensure_future(anext(messages))
    assert parts.store.database.engine.pool.checkedout() == 0
    await finish_job(parts.store, job.id)
    assert '"done"' in await waiting or '"running"' in waiting.result()
