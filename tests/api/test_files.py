"""Audio and spectrogram: whole, in ranges, and not at all if the caller has them."""

from __future__ import annotations

import uuid

import httpx
import pytest

from app.domain.keys import spectrogram_key
from app.routes.deps import WebParts
from app.routes.ranges import content_disposition
from tests.support.factories import finish_job
from tests.support.web import assert_problem

CONTENT = b"ID3" + bytes(range(256)) * 3000
SIZE = len(CONTENT)


@pytest.fixture
async def address(api: httpx.AsyncClient) -> str:
    answer = await api.post("/api/v1/jobs", files={"file": ("Köln.mp3", CONTENT, "audio/mpeg")})
    return f"/api/v1/jobs/{answer.json()['id']}"


async def test_the_whole_file(api: httpx.AsyncClient, address: str):
    answer = await api.get(f"{address}/audio")
    assert (answer.status_code, answer.content) == (200, CONTENT)
    assert answer.headers["content-type"] == "audio/mpeg"
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.headers["content-disposition"] == "inline; filename=\"K_ln.mp3\"; filename*=UTF-8''K%C3%B6ln.mp3"


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=100-299999", 100, 300_000),
        ("bytes=768000-", 768_000, SIZE),
        ("bytes=-3", SIZE - 3, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        (f"bytes=5-{SIZE * 2}", 5, SIZE),
    ],
)
async def test_a_range(api: httpx.AsyncClient, address: str, *, wanted: str, start: int, end: int):
    answer = await api.get(f"{address}/audio", headers={"range": wanted})
    assert (answer.status_code, answer.content) == (206, CONTENT[start:end])
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)


@pytest.mark.parametrize("wanted", ["bytes=0-1,5-6", "bytes=-", "bytes=5-2", "pages=1-2", "bytes=a-b", "bytes"])
async def test_a_range_that_is_not_understood_is_passed_over(api: httpx.AsyncClient, address: str, wanted: str):
    answer = await api.get(f"{address}/audio", headers={"range": wanted})
    assert (answer.status_code, len(answer.content)) == (200, SIZE)


@pytest.mark.parametrize("wanted", [f"bytes={SIZE}-", f"bytes={SIZE}-{SIZE + 5}", "bytes=-0"])
async def test_a_range_beyond_the_end(api: httpx.AsyncClient, address: str, wanted: str):
    answer = await api.get(f"{address}/audio", headers={"range": wanted})
    assert (answer.status_code, answer.content) == (416, b"")
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


async def test_a_range_of_another_version_gives_the_whole_file(api: httpx.AsyncClient, address: str):
    etag = (await api.head(f"{address}/audio")).headers["etag"]
    same = await api.get(f"{address}/audio", headers={"range": "bytes=0-9", "if-range": etag})
    other = await api.get(f"{address}/audio", headers={"range": "bytes=0-9", "if-range": '"other"'})
    assert (same.status_code, other.status_code) == (206, 200)


@pytest.mark.parametrize("form", ["{}", "W/{}", '"a", {}', "*"])
async def test_what_the_caller_has_is_not_sent_again(api: httpx.AsyncClient, address: str, form: str):
    etag = (await api.head(f"{address}/audio")).headers["etag"]
    answer = await api.get(f"{address}/audio", headers={"if-none-match": form.format(etag)})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", etag)


async def test_head_says_the_same_and_sends_nothing(api: httpx.AsyncClient, address: str):
    head = await api.head(f"{address}/audio")
    get = await api.get(f"{address}/audio")
    assert (head.status_code, head.content) == (200, b"")
    for name in ("content-length", "content-type", "etag", "accept-ranges", "content-disposition"):
        assert head.headers[name] == get.headers[name]


async def test_the_spectrogram_is_there_once_the_job_is_done(api: httpx.AsyncClient, parts: WebParts, address: str):
    assert_problem(await api.get(f"{address}/spectrogram.png"), 409, "spectrogram_not_ready")
    job_id = uuid.UUID(address.rsplit("/", 1)[1])
    await parts.files.put_bytes(spectrogram_key(job_id), b"\x89PNG and so on")
    await finish_job(parts.store, job_id)
    answer = await api.get(f"{address}/spectrogram.png")
    assert (answer.headers["content-type"], answer.content) == ("image/png", b"\x89PNG and so on")
    assert (await api.head(f"{address}/spectrogram.png")).headers["content-length"] == "14"


async def test_a_file_that_storage_has_lost(api: httpx.AsyncClient, stored, address: str):
    [path] = stored()
    path.unlink()
    assert_problem(await api.get(f"{address}/audio"), 404, "not_found")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a b.mp3", "attachment; filename=\"a b.mp3\"; filename*=UTF-8''a%20b.mp3"),
        ('q"\\.mp3', "attachment; filename=\"q__.mp3\"; filename*=UTF-8''q%22%5C.mp3"),
        ("a\r\nSet-Cookie: x", "attachment; filename=\"a__Set-Cookie: x\"; filename*=UTF-8''a%0D%0ASet-Cookie%3A%20x"),
        ("夜%41.mp3", "attachment; filename=\"__41.mp3\"; filename*=UTF-8''%E5%A4%9C%2541.mp3"),
    ],
)
def test_names_in_headers_are_harmless(name: str, expected: str):
    assert content_disposition(name, download=True) == expected
