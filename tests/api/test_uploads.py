"""Large files in parts: the same steps with a folder and with S3."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import update

from app.db.models import DirectUpload
from app.domain.ids import utc_now
from app.domain.submissions import MOST_PARTS, PART_BYTES, part_size_bytes, part_sizes_bytes
from app.routes.deps import WebParts, parts_of_app
from app.services.direct_uploads import forget_expired_uploads
from app.services.orphans import unknown_keys
from app.settings import Settings
from tests.support.s3 import BUCKET, s3_server
from tests.support.web import BASE_URL, assert_problem, make_key, program, rows, web_application

LIMIT = 20_000_000
FILE = b"ID3" + bytes(range(256)) * 40_000


@pytest.fixture(params=["folder", "s3"])
async def app(request: pytest.FixtureRequest, tmp_path: Path, sqlite_dsn: str) -> AsyncIterator[Litestar]:
    where: dict[str, Any] = {"data_dir": tmp_path / "data", "database_url": sqlite_dsn, "upload_limit_bytes": LIMIT}
    if request.param == "folder":
        async with web_application(Settings(**where)) as app:
            yield app
        return
    with s3_server() as address:
        keys = {"storage_access_key_id": "any", "storage_secret_access_key": "any"}
        where |= {"storage_url": f"s3://{BUCKET}/here", "storage_endpoint": address, **keys}
        async with web_application(Settings(**where)) as app:
            yield app


@pytest.fixture
def parts(app: Litestar) -> WebParts:
    return parts_of_app(app)


@pytest.fixture
async def api(app: Litestar, parts: WebParts) -> AsyncIterator[httpx.AsyncClient]:
    async with program(app, await make_key(parts)) as client:
        yield client


async def _put(app: Litestar, url: str, content: bytes) -> httpx.Response:
    """As a client does it that knows nothing of where the address leads, and sends no credentials there."""
    if not url.startswith(BASE_URL):
        async with httpx.AsyncClient() as client:
            return await client.put(url, content=content)
    async with program(app) as client:
        return await client.put(url, content=content)


async def _start(api: httpx.AsyncClient, size_bytes: int = len(FILE), **options: Any) -> dict[str, Any]:
    answer = await api.post("/api/v1/uploads", json={"name": "concert.mp3", "size_bytes": size_bytes}, **options)
    assert answer.status_code == 201, answer.text
    upload: dict[str, Any] = answer.json()
    assert answer.headers["location"] == f"/api/v1/uploads/{upload['id']}"
    return upload


async def _send(app: Litestar, upload: dict[str, Any], content: bytes = FILE) -> None:
    start = 0
    for part in upload["parts"]:
        answer = await _put(app, part["url"], content[start : start + part["size_bytes"]])
        assert answer.status_code == 200, answer.text
        start += part["size_bytes"]
    assert start == len(content)


async def test_parts_become_a_file_and_the_file_a_job(app: Litestar, api: httpx.AsyncClient, parts: WebParts):
    upload = await _start(api)
    assert [part["size_bytes"] for part in upload["parts"]] == [PART_BYTES, len(FILE) - PART_BYTES]
    await _send(app, upload)
    complete = (await api.post(f"/api/v1/uploads/{upload['id']}/complete")).json()
    again = (await api.post(f"/api/v1/uploads/{upload['id']}/complete")).json()
    assert complete == again
    assert (complete["state"], complete["container"], complete["parts"]) == ("complete", "mp3", [])
    assert complete["sha256"] == hashlib.sha256(FILE).hexdigest()
    assert not [page async for page in parts.files.keys_older_than("parts", utc_now() + timedelta(hours=1)) if page]
    answer = await api.post("/api/v1/jobs", json={"upload_id": upload["id"]}, headers={"idempotency-key": "a"})
    assert answer.status_code == 202, answer.text
    assert (await api.get(f"/api/v1/jobs/{answer.json()['id']}/audio")).content == FILE
    repeated = await api.post("/api/v1/jobs", json={"upload_id": upload["id"]}, headers={"idempotency-key": "a"})
    assert repeated.text == answer.text
    used = await api.post("/api/v1/jobs", json={"upload_id": upload["id"]})
    assert_problem(used, 404, "upload_not_found")
    assert await rows(parts) == (1, 1)


async def test_what_is_missing_is_named_and_can_be_sent_later(app: Litestar, api: httpx.AsyncClient):
    upload = await _start(api)
    path = f"/api/v1/uploads/{upload['id']}"
    assert "1, 2" in assert_problem(await api.post(f"{path}/complete"), 409, "parts_missing")["detail"]
    assert_problem(await api.post("/api/v1/jobs", json={"upload_id": upload["id"]}), 409, "upload_incomplete")
    await _put(app, upload["parts"][1]["url"], FILE[PART_BYTES:])
    assert ": 1." in assert_problem(await api.post(f"{path}/complete"), 409, "parts_missing")["detail"]
    renewed = (await api.get(path)).json()
    await _put(app, renewed["parts"][0]["url"], FILE[:PART_BYTES])
    assert (await api.post(f"{path}/complete")).json()["state"] == "complete"


async def test_what_is_no_audio_is_refused_when_it_is_complete(app: Litestar, api: httpx.AsyncClient):
    upload = await _start(api, 9)
    await _send(app, upload, b"la la la ")
    assert_problem(await api.post(f"/api/v1/uploads/{upload['id']}/complete"), 415, "unsupported_audio")
    assert (await api.get(f"/api/v1/uploads/{upload['id']}")).json()["state"] == "open"


async def test_an_upload_is_its_owners_alone_and_can_be_deleted(app: Litestar, api: httpx.AsyncClient, parts: WebParts):
    upload = await _start(api)
    await _put(app, upload["parts"][1]["url"], FILE[PART_BYTES:])
    path = f"/api/v1/uploads/{upload['id']}"
    async with program(app, await make_key(parts, name="other")) as other:
        for call in (other.get(path), other.post(f"{path}/complete"), other.delete(path)):
            assert_problem(await call, 404, "upload_not_found")
    assert (await api.delete(path)).status_code == 204
    assert_problem(await api.get(path), 404, "upload_not_found")
    assert not [page async for page in parts.files.keys_older_than("parts", utc_now() + timedelta(hours=1)) if page]


async def test_repeating_the_beginning_begins_one_upload(api: httpx.AsyncClient):
    first, second = [await _start(api, headers={"idempotency-key": "a"}) for _ in range(2)]
    assert first == second


async def test_it_must_not_be_larger_than_a_file_may_be(api: httpx.AsyncClient):
    body = {"name": "a.wav", "size_bytes": LIMIT + 1}
    assert_problem(await api.post("/api/v1/uploads", json=body), 413, "too_large")


# --- what only a folder needs: the addresses of parts are our own there


@pytest.mark.parametrize("app", ["folder"], indirect=True)
async def test_an_address_of_a_part_is_good_for_nothing_else(app: Litestar, api: httpx.AsyncClient):
    upload = await _start(api)
    url = upload["parts"][0]["url"]
    for wrong in (url.replace("/parts/1", "/parts/2"), url.replace("expires=", "expires=1"), url[:-1] + "!"):
        assert_problem(await _put(app, wrong, FILE[:PART_BYTES]), 403, "part_address_refused")
    assert_problem(await _put(app, url, FILE[: PART_BYTES - 1]), 400, "upload_malformed")
    assert_problem(await _put(app, url, FILE[: PART_BYTES + 1]), 413, "body_too_large")
    assert_problem(await api.post(f"/api/v1/uploads/{upload['id']}/complete"), 409, "parts_missing")


@pytest.mark.parametrize("app", ["folder"], indirect=True)
async def test_abandoned_uploads_are_forgotten_with_their_files(app: Litestar, api: httpx.AsyncClient, parts: WebParts):
    upload = await _start(api)
    await _put(app, upload["parts"][1]["url"], FILE[PART_BYTES:])
    keys = [f"parts/{upload['id']}/2", f"audio/{upload['id']}"]
    async with parts.store.writing() as uow:
        assert await unknown_keys(uow, keys) == []
        await uow.session.execute(update(DirectUpload).values(expires_at=utc_now() - timedelta(seconds=1)))
        await forget_expired_uploads(uow)
        assert await unknown_keys(uow, keys) == keys


@pytest.mark.parametrize("size_bytes", [1, PART_BYTES, PART_BYTES + 1, 10_000_000_000])
def test_parts_add_up_and_are_never_too_many(size_bytes: int):
    sizes = part_sizes_bytes(size_bytes, part_size_bytes(size_bytes))
    assert sum(sizes) == size_bytes
    assert 1 <= len(sizes) <= MOST_PARTS
    assert all(sizes)
