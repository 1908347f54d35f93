"""The life of a job over the API, on SQLite and on PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from app.domain.failures import Failure, FailureCode
from app.domain.ids import new_id, utc_now
from app.domain.permissions import Role
from app.routes.deps import WebParts
from app.services.analyses import record_failure
from app.settings import Settings
from tests.support.factories import claim, finish_job, make_result
from tests.support.web import assert_problem, make_key, program, rows

MP3 = b"ID3" + bytes(4000)


@pytest.fixture
def settings(tmp_path: Path, dsn: str) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=dsn)


@pytest.fixture
async def admin(app: Litestar, parts: WebParts) -> AsyncIterator[httpx.AsyncClient]:
    async with program(app, await make_key(parts, Role.ADMIN, "root")) as client:
        yield client


@pytest.fixture
async def other(app: Litestar, parts: WebParts) -> AsyncIterator[httpx.AsyncClient]:
    async with program(app, await make_key(parts, Role.UPLOADER, "somebody else")) as client:
        yield client


@pytest.fixture
async def viewer(app: Litestar, parts: WebParts) -> AsyncIterator[httpx.AsyncClient]:
    async with program(app, await make_key(parts, Role.VIEWER, "viewer")) as client:
        yield client


async def submit(api: httpx.AsyncClient, name: str = "track.mp3") -> dict:
    answer = await api.post("/api/v1/jobs", files={"file": (name, MP3, "audio/mpeg")})
    assert answer.status_code == 202
    return answer.json()


async def fail(parts: WebParts, job_id: str, code: FailureCode) -> None:
    async with parts.store.writing() as uow:
        taken = await claim(uow, uuid.UUID(job_id))
    async with parts.store.writing() as uow:
        await record_failure(uow, taken, Failure(code, {"error_id": "1"}))


async def listed(api: httpx.AsyncClient, **params: object) -> list[str]:
    answer = await api.get("/api/v1/jobs", params=params)
    assert answer.status_code == 200, answer.text
    return [job["asset"]["name"] for job in answer.json()["items"]]


async def test_a_submitted_job_is_accepted_queued_and_readable(api: httpx.AsyncClient):
    answer = await api.post("/api/v1/jobs", files={"file": ("Köln.mp3", MP3, "audio/mpeg")}, data={"kind": "genre"})
    job = answer.json()
    assert (answer.status_code, answer.headers["location"]) == (202, f"/api/v1/jobs/{job['id']}")
    assert (job["state"], job["kind"], job["submitted_by"]) == ("queued", "genre", "tester")
    assert (await api.get(answer.headers["location"])).json() == job


async def test_a_finished_job_has_sixteen_probabilities_that_sum_to_one(api: httpx.AsyncClient, parts: WebParts):
    job = await submit(api)
    await finish_job(parts.store, uuid.UUID(job["id"]))
    job = (await api.get(f"/api/v1/jobs/{job['id']}")).json()
    assert job["state"] == "done"
    assert len(job["result"]["probabilities"]) == 16
    assert sum(score["probability"] for score in job["result"]["probabilities"]) == pytest.approx(1)
    assert job["result"]["model"]["starter"] is True


async def test_lists_come_newest_first_in_pages(api: httpx.AsyncClient):
    for number in range(5):
        await submit(api, f"{number}.mp3")
    first = (await api.get("/api/v1/jobs", params={"limit": 2})).json()
    second = (await api.get("/api/v1/jobs", params={"limit": 2, "cursor": first["next_cursor"]})).json()
    last = (await api.get("/api/v1/jobs", params={"limit": 2, "cursor": second["next_cursor"]})).json()
    pages = [[job["asset"]["name"] for job in page["items"]] for page in (first, second, last)]
    assert pages == [["4.mp3", "3.mp3"], ["2.mp3", "1.mp3"], ["0.mp3"]]
    assert last["next_cursor"] is None


async def test_lists_can_be_limited(api: httpx.AsyncClient, parts: WebParts):
    sure, unsure, queued = [await submit(api, name) for name in ("sure.mp3", "unsure.mp3", "queued.mp3")]
    await finish_job(parts.store, uuid.UUID(sure["id"]), make_result("opera", 0.95))
    await finish_job(parts.store, uuid.UUID(unsure["id"]), make_result("solo", 0.4))
    assert await listed(api, state="done") == ["unsure.mp3", "sure.mp3"]
    assert await listed(api, state="queued") == ["queued.mp3"]
    assert await listed(api, genre="opera") == ["sure.mp3"]
    assert await listed(api, tier="low") == ["unsure.mp3"]
    assert await listed(api, review="true") == ["unsure.mp3"]
    assert await listed(api, review="false") == ["queued.mp3", "sure.mp3"]
    assert await listed(api, text="SURE") == ["sure.mp3"]
    assert await listed(api, text="uns mp3") == ["unsure.mp3"]
    assert await listed(api, text="larks") == ["unsure.mp3", "sure.mp3"]
    assert await listed(api, text="%") == []
    assert await listed(api, text="\0") == ["queued.mp3", "unsure.mp3", "sure.mp3"]
    assert await listed(api, created_after=utc_now() + timedelta(minutes=1)) == []
    assert len(await listed(api, created_before=(utc_now() + timedelta(minutes=1)).replace(tzinfo=None))) == 3
    assert queued["state"] == "queued"


async def test_cancel_then_retry(api: httpx.AsyncClient):
    job = await submit(api)
    address = f"/api/v1/jobs/{job['id']}"
    assert (await api.post(f"{address}/cancel")).json()["state"] == "cancelled"
    assert_problem(await api.post(f"{address}/cancel"), 409, "job_state_conflict")
    assert (await api.post(f"{address}/retry")).json()["state"] == "queued"
    assert_problem(await api.post(f"{address}/retry"), 409, "job_state_conflict")


async def test_a_failed_job_says_why_and_can_be_tried_again_if_its_audio_is_kept(
    api: httpx.AsyncClient, parts: WebParts
):
    crashed, corrupt = await submit(api), await submit(api)
    await fail(parts, crashed["id"], FailureCode.INTERNAL)
    await fail(parts, corrupt["id"], FailureCode.AUDIO_CORRUPT)
    error = (await api.get(f"/api/v1/jobs/{crashed['id']}")).json()["error"]
    assert (error["code"], error["type"], error["retryable"]) == ("internal", "/docs/errors#internal", True)
    assert (await api.post(f"/api/v1/jobs/{crashed['id']}/retry")).json()["state"] == "queued"
    assert_problem(await api.post(f"/api/v1/jobs/{corrupt['id']}/retry"), 404, "audio_gone")
    assert_problem(await api.get(f"/api/v1/jobs/{corrupt['id']}/audio"), 404, "audio_gone")


async def test_a_deleted_job_leaves_neither_rows_nor_files(api: httpx.AsyncClient, parts: WebParts, stored):
    job = await submit(api)
    assert len(stored()) == 1
    answer = await api.delete(f"/api/v1/jobs/{job['id']}")
    assert (answer.status_code, answer.content) == (204, b"")
    assert await rows(parts) == (0, 0)
    assert stored() == []
    assert_problem(await api.get(f"/api/v1/jobs/{job['id']}"), 404, "job_not_found")
    assert_problem(await api.delete(f"/api/v1/jobs/{job['id']}"), 404, "job_not_found")


async def test_others_may_look_but_not_touch_and_admins_may(
    api: httpx.AsyncClient, other: httpx.AsyncClient, admin: httpx.AsyncClient
):
    job = await submit(api)
    address = f"/api/v1/jobs/{job['id']}"
    assert (await other.get(address)).status_code == 200
    for call in (other.post(f"{address}/cancel"), other.post(f"{address}/retry"), other.delete(address)):
        assert_problem(await call, 403, "forbidden")
    assert (await admin.post(f"{address}/cancel")).status_code == 200
    assert (await admin.delete(address)).status_code == 204


async def test_viewers_read_and_nothing_more(viewer: httpx.AsyncClient, api: httpx.AsyncClient, stored):
    job = await submit(api)
    assert (await viewer.get(f"/api/v1/jobs/{job['id']}")).status_code == 200
    answer = await viewer.post("/api/v1/jobs", files={"file": ("a.mp3", MP3, "audio/mpeg")})
    assert_problem(answer, 403, "forbidden")
    assert len(stored()) == 1


async def test_what_is_not_there(api: httpx.AsyncClient):
    nowhere = f"/api/v1/jobs/{new_id()}"
    for path in ("", "/audio", "/spectrogram.png", "/events"):
        assert_problem(await api.get(nowhere + path), 404, "job_not_found")
    for path in ("/cancel", "/retry"):
        assert_problem(await api.post(nowhere + path), 404, "job_not_found")
    assert_problem(await api.get("/api/v1/jobs/seven"), 404, "not_found")
    assert_problem(await api.get("/api/v1/tracks"), 404, "not_found")
    assert "GET" in (await api.put("/api/v1/jobs")).headers["allow"]
    assert_problem(await api.put("/api/v1/jobs"), 405, "method_not_allowed")
