"""The audit log over the API, and what comes into it by listening."""

from __future__ import annotations

import json

import httpx
import pytest
from litestar import Litestar

from app.domain.permissions import Role
from app.routes.deps import WebParts
from tests.support.web import assert_problem, make_key, program

CONTENT = b"ID3" + bytes(5000)


@pytest.fixture
async def ada(app: Litestar, parts: WebParts):
    async with program(app, await make_key(parts, Role.ADMIN, "Ada")) as client:
        yield client


async def _submit(api: httpx.AsyncClient) -> str:
    return (await api.post("/api/v1/jobs", files={"file": ("a.mp3", CONTENT, "audio/mpeg")})).json()["id"]


async def test_all_parts_of_a_recording_are_one_access(api: httpx.AsyncClient, ada: httpx.AsyncClient):
    job_id = await _submit(api)
    for start in range(0, 5000, 1000):
        await api.get(f"/api/v1/jobs/{job_id}/audio", headers={"range": f"bytes={start}-{start + 999}"})
    await ada.head(f"/api/v1/jobs/{job_id}/audio")
    found = (await ada.get("/api/v1/audit", params={"text": job_id, "action": "audio.access"})).json()["items"]
    assert [entry["actor"] for entry in found] == ["Ada", "tester"]


async def test_what_is_done_to_a_job_is_in_the_log(api: httpx.AsyncClient, ada: httpx.AsyncClient):
    job_id = await _submit(api)
    for step in ("cancel", "retry", "cancel"):
        assert (await api.post(f"/api/v1/jobs/{job_id}/{step}")).status_code == 200
    await api.delete(f"/api/v1/jobs/{job_id}")
    found = (await ada.get("/api/v1/audit", params={"text": job_id})).json()["items"]
    assert [entry["action"] for entry in found] == ["job.delete", "job.cancel", "job.retry", "job.cancel"]
    assert found[0]["details"]["name"] == "a.mp3"


async def test_pages_filters_and_exports(api: httpx.AsyncClient, ada: httpx.AsyncClient):
    for name in ("one", "two", "three"):
        await api.post("/api/v1/batches", json={"name": name})
    first = (await ada.get("/api/v1/audit", params={"action": "batch.create", "limit": 2})).json()
    second = (await ada.get("/api/v1/audit", params={"action": "batch.create", "cursor": first["next_cursor"]})).json()
    names = [entry["details"]["name"] for page in (first, second) for entry in page["items"]]
    assert (names, second["next_cursor"]) == (["three", "two", "one"], None)
    moment = first["items"][0]["created_at"]
    exported = await ada.get("/api/v1/audit/export.jsonl", params={"action": "batch.create", "created_before": moment})
    assert exported.headers["content-disposition"].startswith('attachment; filename="earmark-audit.jsonl"')
    assert [json.loads(line)["details"]["name"] for line in exported.text.splitlines()] == ["one", "two"]
    assert (await ada.get("/api/v1/audit/export.csv")).headers["content-type"].startswith("text/csv")
    [_, export] = (await ada.get("/api/v1/audit", params={"action": "audit.export"})).json()["items"]
    assert export["details"]["created_before"]


async def test_it_is_for_admins_and_for_what_can_be_understood(api: httpx.AsyncClient, ada: httpx.AsyncClient):
    for path in ("", "/export.csv", "/export.jsonl"):
        assert_problem(await api.get(f"/api/v1/audit{path}"), 403, "forbidden")
    assert_problem(await ada.get("/api/v1/audit", params={"created_after": "yesterday"}), 400, "validation_failed")
    assert_problem(await ada.get("/api/v1/audit", params={"cursor": "x"}), 400, "cursor_invalid")
    assert (await ada.get("/api/v1/audit", params={"text": "a\0b"})).json()["items"] == []
