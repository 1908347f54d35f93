"""The ways to submit a recording, repeating a request, and waiting for the result."""

from __future__ import annotations

import asyncio
import json
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar

from app.db.uow import UnitOfWork
from app.domain.jobs import JobState
from app.domain.permissions import Principal, Role
from app.domain.views import JobOut
from app.routes.api import submissions
from app.routes.deps import WebParts, parts_of_app
from app.services.jobs import get_job
from app.services.models import NewModel, activate_model, register_model
from app.settings import Settings
from tests.support.factories import ADMIN, MODEL, finish_job, make_result
from tests.support.portal import LocalProgress, use_local_progress
from tests.support.web import assert_problem, make_key, program, rows, web_application

MP3 = b"ID3" + bytes(4000)
AUDIO = {"content-type": "audio/mpeg"}


def _form(content: bytes = MP3, **fields: str) -> dict[str, Any]:
    return {"files": {"file": ("a.mp3", content, "audio/mpeg")}, "data": fields}


async def _activate_model(parts: WebParts, sha256: str = MODEL.sha256) -> None:
    async with parts.store.writing() as uow:
        new = NewModel(kind="genre", name="starter", version=sha256[:4], sha256=sha256, starter=True, card={})
        await register_model(uow, new)
        await activate_model(uow, "starter", sha256[:4])


# --- ways in


async def test_the_body_may_be_the_file(api: httpx.AsyncClient, stored):
    params = {"name": "Köln/a.mp3", "metadata": json.dumps({"number": 7}), "analyse": "full"}
    answer = await api.post("/api/v1/jobs", content=MP3, headers=AUDIO, params=params)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["asset"]["name"], job["scope"], job["metadata"]) == ("a.mp3", "full", {"number": 7})
    assert answer.headers["location"] == f"/api/v1/jobs/{job['id']}"
    assert [path.read_bytes() for path in stored()] == [MP3]


async def test_options_may_be_fields_of_the_form(api: httpx.AsyncClient):
    fields = {"name": "b.mp3", "metadata": '{"who": "夜"}', "analyse": "full", "force": "true"}
    job = (await api.post("/api/v1/jobs", **_form(**fields))).json()
    assert (job["asset"]["name"], job["scope"], job["metadata"]) == ("b.mp3", "full", {"who": "夜"})


async def test_an_address_is_accepted_before_it_is_fetched(api: httpx.AsyncClient, parts: WebParts, stored):
    body = {"source_url": "https://archive.test/masters/a%20b.flac?X-Signature=secret", "metadata": {"n": 1}}
    answer = await api.post("/api/v1/jobs?analyse=full", json=body)
    assert answer.status_code == 202, answer.text
    job = answer.json()
    assert (job["state"], job["scope"], job["metadata"]) == ("queued", "full", {"n": 1})
    assert {job["asset"][fact] for fact in ("sha256", "size_bytes", "container")} == {None}
    assert job["asset"]["name"] == "a b.flac"
    assert "secret" not in answer.text
    assert_problem(await api.get(f"/api/v1/jobs/{job['id']}/audio"), 404, "audio_gone")
    assert stored() == []
    assert await rows(parts) == (1, 1)
    assert (await api.delete(f"/api/v1/jobs/{job['id']}")).status_code == 204
    assert await rows(parts) == (0, 0)


# --- repeating


@pytest.fixture(params=["sqlite", "postgres"])
async def any_app(request: pytest.FixtureRequest, tmp_path: Path):
    dsn = request.getfixturevalue(f"{request.param}_dsn")
    async with web_application(Settings(data_dir=tmp_path / "data", database_url=dsn)) as app:
        yield app


async def test_a_request_sent_many_times_at_once_makes_one_job(any_app: Litestar, tmp_path: Path):
    parts = parts_of_app(any_app)
    headers = {"idempotency-key": "one"}
    async with program(any_app, await make_key(parts)) as api:
        answers = await asyncio.gather(*(api.post("/api/v1/jobs", headers=headers, **_form()) for _ in range(8)))
        assert {answer.status_code for answer in answers} == {202}
        assert len({answer.text for answer in answers}) == 1
        assert sorted("idempotency-replayed" in answer.headers for answer in answers) == [False] + [True] * 7
        assert {answer.headers["location"] for answer in answers} == {f"/api/v1/jobs/{answers[0].json()['id']}"}
        assert await rows(parts) == (1, 1)
        assert len([path for path in (tmp_path / "data" / "files").rglob("*") if path.is_file()]) == 1
        other = await api.post("/api/v1/jobs", headers=headers, **_form(MP3 + b"!"))
        assert_problem(other, 422, "idempotency_key_reused")
        assert await rows(parts) == (1, 1)
        assert len([path for path in (tmp_path / "data" / "files").rglob("*") if path.is_file()]) == 1


async def test_every_way_in_can_be_repeated_and_each_caller_has_keys_of_its_own(
    app: Litestar, api: httpx.AsyncClient, parts: WebParts
):
    ways: list[dict[str, Any]] = [
        {"content": MP3, "headers": {**AUDIO, "idempotency-key": "raw"}},
        {"json": {"source_url": "https://archive.test/a.mp3"}, "headers": {"idempotency-key": "url"}},
    ]
    for way in ways:
        first, second = [await api.post("/api/v1/jobs", **way) for _ in range(2)]
        assert first.text == second.text
    changed = await api.post("/api/v1/jobs?analyse=full", **ways[0])
    assert_problem(changed, 422, "idempotency_key_reused")
    async with program(app, await make_key(parts, name="other")) as other:
        await other.post("/api/v1/jobs", **ways[0])
    assert (await rows(parts))[1] == 3


@pytest.mark.parametrize("key", ["", "k" * 256, "a b"])
async def test_a_key_of_the_wrong_form_is_named(api: httpx.AsyncClient, key: str):
    answer = await api.post("/api/v1/jobs", headers={"idempotency-key": key}, **_form())
    [error] = assert_problem(answer, 400, "validation_failed")["errors"]
    assert (error["field"], error["source"]) == ("Idempotency-Key", "header")


async def test_a_refused_request_may_be_mended_and_sent_with_its_key(api: httpx.AsyncClient):
    headers = {"idempotency-key": "one"}
    assert_problem(await api.post("/api/v1/jobs", headers=headers, **_form(b"la la")), 415, "unsupported_audio")
    assert (await api.post("/api/v1/jobs", headers=headers, **_form())).status_code == 202


# --- the same audio again


@pytest.fixture
async def known(api: httpx.AsyncClient, parts: WebParts) -> dict[str, Any]:
    """A job that was done by the model now active; it has a spectrogram."""
    await _activate_model(parts)
    job = (await api.post("/api/v1/jobs", **_form())).json()
    await finish_job(parts.store, uuid.UUID(job["id"]), make_result("opera", 0.97))
    await parts.files.put_bytes(f"spectrograms/{job['id']}.png", b"a picture")
    done: dict[str, Any] = (await api.get(f"/api/v1/jobs/{job['id']}")).json()
    return done


async def test_known_audio_is_answered_at_once(api: httpx.AsyncClient, known: dict[str, Any], parts: WebParts):
    answer = await api.post("/api/v1/jobs", **_form())
    assert answer.status_code == 200
    job = answer.json()
    assert (job["state"], job["deduplicated"], known["deduplicated"]) == ("done", True, False)
    assert job["id"] != known["id"]
    assert job["result"] == known["result"]
    facts = ("duration_s", "channels", "title", "sha256")
    assert [job["asset"][fact] for fact in facts] == [known["asset"][fact] for fact in facts]
    assert (await api.delete(f"/api/v1/jobs/{known['id']}")).status_code == 204
    assert (await api.get(f"/api/v1/jobs/{job['id']}/spectrogram.png")).content == b"a picture"
    assert (await api.get(f"/api/v1/jobs/{job['id']}/audio")).content == MP3


@pytest.mark.parametrize("options", [{"params": {"force": "true"}}, {"params": {"analyse": "full"}}, {"other": True}])
async def test_what_is_not_the_same_is_analysed(api: httpx.AsyncClient, known: dict[str, Any], options: dict[str, Any]):
    content = MP3 + b"!" if options.pop("other", False) else MP3
    answer = await api.post("/api/v1/jobs", **_form(content), **options)
    assert (answer.status_code, answer.json()["state"], answer.json()["deduplicated"]) == (202, "queued", False)


async def test_another_model_hears_it_anew(api: httpx.AsyncClient, known: dict[str, Any], parts: WebParts):
    await _activate_model(parts, "f" * 64)
    assert (await api.post("/api/v1/jobs", **_form())).json()["state"] == "queued"


async def test_what_people_decided_goes_along_and_reviews_too(
    api: httpx.AsyncClient, known: dict[str, Any], parts: WebParts
):
    job = (await api.post("/api/v1/jobs", params={"force": "true"}, **_form())).json()
    await finish_job(parts.store, uuid.UUID(job["id"]), make_result("opera", 0.31))
    doubtful = (await api.post("/api/v1/jobs", **_form())).json()
    assert (doubtful["deduplicated"], doubtful["review"]) == (True, "low_probability")


# --- waiting


async def test_waiting_answers_with_the_result_as_soon_as_it_is_there(app: Litestar, parts: WebParts):
    key = await make_key(parts, Role.UPLOADER)
    progress = LocalProgress()
    store = use_local_progress(app, progress)
    async with program(app, key) as api:
        with progress.subscribe() as changes:
            waiting = asyncio.create_task(api.post("/api/v1/jobs?wait=30", timeout=40, **_form()))
            [job_id] = await changes.wait(30)
        await finish_job(store, job_id)
        answer = await waiting
    assert (answer.status_code, answer.json()["state"]) == (200, "done")
    assert answer.headers["location"] == f"/api/v1/jobs/{answer.json()['id']}"


async def test_who_waits_asks_only_when_their_own_job_has_changed(
    app: Litestar, parts: WebParts, monkeypatch: pytest.MonkeyPatch
):
    looks: list[uuid.UUID] = []

    async def counted(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> JobOut:
        looks.append(job_id)
        return await get_job(uow, principal, job_id)

    progress = LocalProgress()
    store = use_local_progress(app, progress)
    async with program(app, await make_key(parts, Role.UPLOADER)) as api:
        with progress.subscribe() as changes:
            waiting = asyncio.create_task(api.post("/api/v1/jobs?wait=30", timeout=40, **_form()))
            [job_id] = await changes.wait(30)
        monkeypatch.setattr(submissions.jobs, "get_job", counted)
        monkeypatch.setattr(submissions, "LOOK_AGAIN_S", 30.0)
        others = [(await api.post("/api/v1/jobs", **_form(MP3 + bytes([number])))).json() for number in range(5)]
        for other in others:
            await finish_job(store, uuid.UUID(other["id"]))
        await finish_job(store, job_id)
        assert (await waiting).json()["state"] == "done"
    assert set(looks) == {job_id}
    assert len(looks) <= 3, "at first, when it was created, and when it was done"


async def test_waiting_ends_without_a_result_too(api: httpx.AsyncClient, parts: WebParts):
    answer = await api.post("/api/v1/jobs?wait=1", **_form())
    assert (answer.status_code, answer.json()["state"]) == (202, "queued")
    async with parts.store.reading() as uow:
        assert (await get_job(uow, ADMIN, uuid.UUID(answer.json()["id"]))).state is JobState.QUEUED
    assert_problem(await api.post("/api/v1/jobs?wait=31", **_form()), 400, "validation_failed")
