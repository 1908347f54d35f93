"""Models and workers over the API."""

from __future__ import annotations

import uuid

import httpx
import pytest

from app.domain.ids import new_id
from app.domain.jobs import JobKind
from app.domain.permissions import Role
from app.domain.workers import WorkerState
from app.routes.deps import WebParts
from app.services.models import NewModel, register_model
from app.services.workers import report_worker
from tests.support.web import make_key, program


@pytest.fixture
async def ids(parts: WebParts) -> list[uuid.UUID]:
    """Two models."""
    async with parts.store.writing() as uow:
        news = [
            NewModel(kind=JobKind.GENRE, name=name, version="1", sha256="0" * 64, starter=False, card={"source": name})
            for name in ("one", "two")
        ]
        return [(await register_model(uow, new)).id for new in news]


@pytest.fixture
async def admin(app, parts):
    async with program(app, await make_key(parts, Role.ADMIN)) as client:
        yield client


async def active(client: httpx.AsyncClient) -> list[str]:
    return [model["name"] for model in (await client.get("/api/v1/models")).json() if model["active"]]


async def test_a_model_with_its_card(api, ids):
    answer = await api.get(f"/api/v1/models/{ids[0]}")
    assert (answer.status_code, answer.json()["card"], answer.json()["shadow_share"]) == (200, {"source": "one"}, None)
    missing = await api.get(f"/api/v1/models/{new_id()}")
    assert (missing.status_code, missing.json()["code"]) == (404, "model_not_found")


async def test_activating_and_rolling_back(admin, ids):
    for model_id in (*ids, ids[1]):
        answer = await admin.post(f"/api/v1/models/{model_id}/activate")
        assert (answer.status_code, answer.json()["active"]) == (200, True)
    assert await active(admin) == ["two"]
    answer = await admin.post("/api/v1/models/rollback")
    assert (answer.status_code, answer.json()["name"]) == (200, "one")
    assert await active(admin) == ["one"]
    answer = await admin.post("/api/v1/models/rollback")
    assert (answer.status_code, answer.json()["code"]) == (409, "nothing_to_roll_back")


async def test_a_shadow_and_its_report(admin, ids):
    await admin.post(f"/api/v1/models/{ids[0]}/activate")
    assert (await admin.get("/api/v1/models/shadow")).json()["code"] == "no_shadow"
    answer = await admin.put(f"/api/v1/models/{ids[1]}/shadow", json={"share": 0.25})
    assert (answer.status_code, answer.json()["shadow_share"]) == (200, 0.25)
    report = (await admin.get("/api/v1/models/shadow")).json()
    assert (report["model"]["name"], report["active"]["name"], report["jobs"]) == ("two", "one", 0)
    assert (report["agreement"], report["genres"]) == (None, [])
    assert (await admin.put(f"/api/v1/models/{ids[0]}/shadow", json={"share": 0.1})).json()[
        "code"
    ] == "shadow_is_active"
    assert (await admin.delete("/api/v1/models/shadow")).status_code == 204
    assert (await admin.get("/api/v1/models/shadow")).status_code == 404


@pytest.mark.parametrize("body", [{"share": 0}, {"share": 1.5}, {"share": "much"}, {}, {"share": 0.1, "more": 1}])
async def test_a_share_is_more_than_nothing_and_no_more_than_all(admin, ids, body):
    answer = await admin.put(f"/api/v1/models/{ids[1]}/shadow", json=body)
    assert (answer.status_code, answer.json()["code"]) == (400, "validation_failed")


async def test_only_admins_choose(api, ids):
    for method, path in (
        ("POST", f"/models/{ids[0]}/activate"),
        ("POST", "/models/rollback"),
        ("PUT", f"/models/{ids[0]}/shadow"),
        ("DELETE", "/models/shadow"),
        ("GET", "/workers"),
    ):
        answer = await api.request(method, f"/api/v1{path}", json={"share": 0.1} if method == "PUT" else None)
        assert answer.status_code == 403, path


async def test_workers_say_what_they_run_and_what_hinders_them(admin, parts, ids):
    assert (await admin.get("/api/v1/workers")).json() == []
    async with parts.store.writing() as uow:
        await report_worker(uow, new_id(), WorkerState.READY, message="two is broken", model_id=ids[0])
    [worker] = (await admin.get("/api/v1/workers")).json()
    assert (worker["state"], worker["model"], worker["message"]) == ("ready", "one/1", "two is broken")


async def test_the_queue_is_open_to_all(api):
    empty = {"jobs": 0, "longest_wait_s": None}
    assert (await api.get("/api/v1/queue")).json() == {"urgent": empty, "bulk": empty}
