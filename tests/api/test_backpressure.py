"""A full queue: every way in is refused with the time to come back, and nothing is left behind."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import update

from app.db.models import Job
from app.db.uow import Store
from app.domain.ids import utc_now
from app.domain.jobs import JobState
from app.domain.permissions import Role
from app.errors import QueueFull
from app.routes.deps import parts_of_app
from app.services import backpressure
from app.services.backpressure import QueueBound, QueueLimits
from app.settings import Settings
from tests.support.factories import make_job, make_principal
from tests.support.portal import open_session, person_at
from tests.support.web import assert_problem, make_key, program, rows, web_application

MP3 = b"ID3" + bytes(4000)
FORM = {"files": {"file": ("a.mp3", MP3, "audio/mpeg")}}
SOURCE = {"source_url": "https://archive.test/a.flac"}

Way = Callable[[httpx.AsyncClient], Awaitable[httpx.Response]]


@pytest.fixture
def settings(tmp_path: Path, sqlite_dsn: str) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=sqlite_dsn, queue_limit=3, queue_limit_per_owner=2)


@pytest.fixture
async def full(app: Litestar, api: httpx.AsyncClient) -> httpx.AsyncClient:
    """Two jobs of this program wait, and so its share is used up."""
    for _ in range(2):
        assert (await api.post("/api/v1/jobs", params={"force": "true"}, **FORM)).status_code == 202
    return api


WAYS: dict[str, Way] = {
    "form": lambda api: api.post("/api/v1/jobs", **FORM),
    "body": lambda api: api.post("/api/v1/jobs", content=MP3, headers={"content-type": "audio/mpeg"}),
    "address": lambda api: api.post("/api/v1/jobs", json=SOURCE),
    "parts": lambda api: api.post("/api/v1/uploads", json={"name": "a.flac", "size_bytes": 9_000_000}),
}


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())
async def test_every_way_in_is_refused_with_the_time_to_come_back(full: httpx.AsyncClient, parts, stored, way: Way):
    before = stored()
    answer = await way(full)
    assert_problem(answer, 503, "queue_full")
    assert answer.headers["retry-after"] == "60"  # nothing has been finished lately
    assert (await rows(parts), stored()) == ((2, 2), before)


def manifest(lines: int) -> dict[str, Any]:
    content = "\n".join(json.dumps(SOURCE) for _ in range(lines))
    return {"content": content, "headers": {"content-type": "application/jsonl"}}


async def test_a_full_queue_of_batches_refuses_no_single_upload(app: Litestar, api: httpx.AsyncClient, parts):
    batch_id = (await api.post("/api/v1/batches", json={"name": "archive"})).json()["id"]
    to_batch = {"params": {"batch_id": batch_id, "force": "true"}}
    assert (await api.post("/api/v1/jobs", **FORM, **to_batch)).status_code == 202
    assert_problem(await api.post(f"/api/v1/batches/{batch_id}/manifest", **manifest(2)), 503, "queue_full")
    assert await rows(parts) == (1, 1)
    assert (await api.post(f"/api/v1/batches/{batch_id}/manifest", **manifest(1))).status_code == 202
    for way in (FORM | to_batch, FORM | {"data": {"batch_id": batch_id}}):
        assert_problem(await api.post("/api/v1/jobs", **way), 503, "queue_full")
    assert (await api.post("/api/v1/jobs", **FORM)).status_code == 202
    async with program(app, await make_key(parts, Role.UPLOADER, "another")) as other:
        whole = {"params": {"analyse": "full"}}
        assert (await other.post("/api/v1/jobs", **FORM, **whole)).status_code == 202
        assert_problem(await other.post("/api/v1/jobs", **FORM, **whole), 503, "queue_full")


async def test_a_manifest_longer_than_the_limit_has_its_turn_when_nothing_waits(api: httpx.AsyncClient):
    batch_id = (await api.post("/api/v1/batches", json={"name": "archive"})).json()["id"]
    assert (await api.post(f"/api/v1/batches/{batch_id}/manifest", **manifest(9))).status_code == 202
    assert_problem(await api.post(f"/api/v1/batches/{batch_id}/manifest", **manifest(1)), 503, "queue_full")


@pytest.fixture
async def small(tmp_path: Path) -> AsyncIterator[Litestar]:
    async with web_application(Settings(data_dir=tmp_path / "data", queue_limit=1)) as app:
        yield app


async def test_the_portal_says_it_in_the_readers_words(small: Litestar):
    parts = parts_of_app(small)
    person = person_at(small, await open_session(parts.store))
    async with person.http:
        assert (await person.post("/uploads", **FORM)).is_success
        refused = await person.post("/uploads", **FORM)
        assert (refused.status_code, refused.headers["retry-after"]) == (503, "60")
        assert "So many recordings wait already" in refused.text


async def test_the_time_to_come_back_follows_what_is_being_finished(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(backpressure, "_FRESH_S", -1)
    una = await make_principal(store)
    bound = QueueBound(QueueLimits(jobs=1000, jobs_per_owner=20))
    done = [(await make_job(store, una)).id for _ in range(30)]
    async with store.writing() as uow:
        just_now = utc_now() - timedelta(seconds=5)
        finished = update(Job).where(Job.id.in_(done)).values(state=JobState.DONE, finished_at=just_now)
        await uow.session.execute(finished)
    for _ in range(20):
        await bound.check(store, una, bulk=False)
        await make_job(store, una)
    with pytest.raises(QueueFull) as caught:
        await bound.check(store, una, bulk=False)
    assert caught.value.params["retry_after_s"] == 20  # ten jobs, at thirty a minute
    await bound.check(store, una, bulk=True)
    await bound.check(store, await make_principal(store, name="Otto"), bulk=False)


async def test_what_is_accepted_within_a_moment_counts(store: Store):
    una = await make_principal(store)
    bound = QueueBound(QueueLimits(jobs=5, jobs_per_owner=5))
    for _ in range(5):
        await bound.check(store, una, bulk=False)
    with pytest.raises(QueueFull):
        await bound.check(store, una, bulk=False)
