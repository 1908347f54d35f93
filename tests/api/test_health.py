"""Alive, ready, degraded, down."""

from __future__ import annotations

import dataclasses

import pytest
from litestar import Litestar

from app.db.engine import Database
from app.db.uow import Store
from app.domain.ids import new_id
from app.domain.workers import WorkerState
from app.integrations.files import s3_files
from app.routes.deps import WebParts
from app.services.workers import report_worker
from tests.support.outside import RecordingOutside
from tests.support.processes import free_port
from tests.support.web import program


async def _ready(app: Litestar) -> tuple[int, dict[str, str]]:
    async with program(app) as client:
        answer = await client.get("/health/ready")
    return answer.status_code, answer.json()


async def _well() -> None:
    """A Redis that answers."""


@pytest.fixture
def with_redis(app: Litestar, parts: WebParts) -> WebParts:
    app.state.parts = dataclasses.replace(parts, check_redis=_well)
    return app.state.parts


async def test_a_process_that_answers_is_alive(app: Litestar):
    async with program(app) as client:
        answer = await client.get("/health/live")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


async def test_everything_is_well(app: Litestar, with_redis: WebParts):
    async with with_redis.store.writing() as uow:
        await report_worker(uow, new_id(), WorkerState.READY)
    expected = dict.fromkeys(("status", "database", "storage", "redis", "workers"), "ok")
    assert await _ready(app) == (200, expected)


async def test_without_workers_or_redis_uploads_are_still_taken(app: Litestar, with_redis: WebParts, parts: WebParts):
    status, state = await _ready(app)
    assert (status, state["status"], state["workers"], state["redis"]) == (200, "degraded", "down", "ok")
    async with parts.store.writing() as uow:
        await report_worker(uow, new_id(), WorkerState.FAILED, message="no model")
    app.state.parts = parts
    status, state = await _ready(app)
    assert (status, state["status"], state["workers"], state["redis"]) == (200, "degraded", "down", "down")


async def test_without_the_database_nothing_works(app: Litestar, with_redis: WebParts, tmp_path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'no' / 'such' / 'folder.db'}")
    app.state.parts = dataclasses.replace(with_redis, store=Store(database, RecordingOutside()))
    status, state = await _ready(app)
    assert (status, state["status"], state["database"], state["storage"]) == (503, "down", "down", "ok")
    await database.close()


async def test_without_the_storage_nothing_works(app: Litestar, with_redis: WebParts):
    files = s3_files(
        "s3://bucket",
        endpoint=f"http://127.0.0.1:{free_port()}",
        region="us-east-1",
        access_key_id="x",
        secret_access_key="y",
    )
    app.state.parts = dataclasses.replace(with_redis, files=files)
    status, state = await _ready(app)
    assert (status, state["status"], state["database"], state["storage"]) == (503, "down", "ok", "down")
