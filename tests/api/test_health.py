"""Alive, ready, degraded, down."""

from __future__ import annotations

import dataclasses
from datetime import timedelta
from typing import Any

import pytest
from litestar import Litestar
from sqlalchemy import update

from app.db.engine import Database
from app.db.models import Job
from app.db.uow import Store
from app.domain.ids import new_id, utc_now
from app.domain.workers import WorkerState
from app.integrations.clamd import Clamd
from app.integrations.files import s3_files
from app.routes.deps import WebParts
from app.services.monitoring import LiveFigures
from app.services.workers import report_worker
from tests.support.factories import finish_job, make_job, make_principal
from tests.support.outside import RecordingOutside
from tests.support.processes import free_port
from tests.support.web import program


async def _ready(app: Litestar) -> tuple[int, dict[str, Any]]:
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
    figures = {"scanner": None, "workers_ready": 1, "last_result_age_s": None, "longest_wait_s": 0.0}
    assert await _ready(app) == (200, {**expected, **figures})


async def test_a_worker_that_something_hinders_is_degraded(app: Litestar, with_redis: WebParts):
    async with with_redis.store.writing() as uow:
        await report_worker(uow, new_id(), WorkerState.READY, message="the new model is damaged")
    status, state = await _ready(app)
    assert (status, state["status"], state["workers"], state["workers_ready"]) == (200, "degraded", "degraded", 1)


async def test_workers_that_live_but_do_nothing_are_degraded(app: Litestar, with_redis: WebParts):
    una = await make_principal(with_redis.store)
    done, waiting = await make_job(with_redis.store, una), await make_job(with_redis.store, una)
    await finish_job(with_redis.store, done.id)
    long_ago = utc_now() - timedelta(minutes=10)
    async with with_redis.store.writing() as uow:
        await report_worker(uow, new_id(), WorkerState.READY)
        await uow.session.execute(update(Job).where(Job.id == waiting.id).values(created_at=long_ago))
    status, state = await _ready(app)
    assert (status, state["workers"]) == (200, "ok")  # something was done just now
    async with with_redis.store.writing() as uow:
        await uow.session.execute(update(Job).where(Job.id == done.id).values(finished_at=long_ago))
    app.state.parts = dataclasses.replace(with_redis, figures=LiveFigures())  # read anew
    status, state = await _ready(app)
    assert (status, state["status"], state["workers"]) == (200, "degraded", "degraded")
    assert state["last_result_age_s"] >= 600
    assert state["longest_wait_s"] >= 600


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
    assert (state["workers"], state["workers_ready"], state["last_result_age_s"]) == ("down", None, None)
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


async def test_without_its_virus_scanner_all_but_uploads_goes_on(app: Litestar, with_redis: WebParts):
    async with with_redis.store.writing() as uow:
        await report_worker(uow, new_id(), WorkerState.READY)
    app.state.parts = dataclasses.replace(with_redis, scanner=Clamd(f"tcp://127.0.0.1:{free_port()}"))
    status, state = await _ready(app)
    assert (status, state["status"], state["scanner"], state["workers"]) == (200, "degraded", "down", "ok")
