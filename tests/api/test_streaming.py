"""Uploads through a real server: how refused clients get their answer, and what a slow one holds up."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from structlog.testing import capture_logs

from app.routes.deps import WebParts, parts_of_app
from app.settings import Settings
from tests.support.factories import make_job, make_principal
from tests.support.portal import new_app
from tests.support.web import assert_problem, make_key, rows, served, sign_in_locally

HEAD = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\n'
TAIL = b"\r\n--x--\r\n"


@pytest.fixture
async def server(settings: Settings) -> AsyncIterator[tuple[str, WebParts, str]]:
    """Address, parts, API key. The server's task must begin and end in this fixture's own."""
    app = await new_app(settings)
    async with served(app) as address:
        parts = parts_of_app(app)
        yield address, parts, await make_key(parts)


async def _chunks(size: int) -> AsyncIterator[bytes]:
    yield HEAD + b"ID3"
    for _ in range(size // 65536):
        yield bytes(65536)
    yield TAIL


@pytest.mark.parametrize("megabytes", [2, 20])
async def test_too_large_without_content_length_is_counted_and_answered(server, stored, megabytes: int):
    address, parts, key = server
    headers = {"authorization": f"Bearer {key}", "content-type": "multipart/form-data; boundary=x"}
    async with httpx.AsyncClient(base_url=address, headers=headers) as client:
        answer = await client.post("/api/v1/jobs", content=_chunks(megabytes * 1_000_000))
    assert_problem(answer, 413, "too_large")
    assert stored() == []
    assert await rows(parts) == (0, 0)


@asynccontextmanager
async def _raw(address: str, head: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rsplit(":", 1)[1]))
    try:
        writer.write(head.replace("\n", "\r\n").encode())
        await writer.drain()
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _head(key: str, length: int, extra: str = "") -> str:
    return (
        f"POST /api/v1/jobs HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer {key}\n"
        f"Content-Type: multipart/form-data; boundary=x\nContent-Length: {length}\n{extra}\n"
    )


async def _status(reader: asyncio.StreamReader) -> int:
    async with asyncio.timeout(20):
        return int((await reader.readline()).split()[1])


async def test_an_announced_size_over_the_limit_is_refused_before_anything_is_read(server):
    address, _, key = server
    async with _raw(address, _head(key, 900_000_000, "Expect: 100-continue\n")) as (reader, _):
        assert await _status(reader) == 413


@pytest.mark.parametrize("key", ["emk_unknown", ""])
async def test_a_caller_without_credentials_is_refused_before_anything_is_read(server, key: str):
    async with _raw(server[0], _head(key, 500_000, "Expect: 100-continue\n")) as (reader, _):
        assert await _status(reader) == 401


async def test_a_page_of_another_site_is_refused_before_anything_is_read(server):
    """It can make a browser send the cookie along, but knows no CSRF token."""
    address, parts, _ = server
    async with httpx.AsyncClient(base_url=address) as client:
        await sign_in_locally(parts, client)
        cookie = client.cookies["earmark-session"]
    for path in ("/api/v1/jobs", "/uploads"):
        head = (
            f"POST {path} HTTP/1.1\nHost: 127.0.0.1\nCookie: earmark-session={cookie}\nExpect: 100-continue\n"
            "Content-Type: multipart/form-data; boundary=x\nContent-Length: 500000\n\n"
        )
        async with _raw(address, head) as (reader, _):
            assert await _status(reader) == 403


async def test_a_client_that_goes_away_leaves_nothing(server, stored):
    address, parts, key = server
    with capture_logs() as lines:
        async with _raw(address, _head(key, 500_000)) as (_, writer):
            writer.write(HEAD + b"ID3" + bytes(200_000))
            await writer.drain()
        async with asyncio.timeout(20):
            while not any(line["event"] == "request" for line in lines):  # noqa: ASYNC110  the log is the only sign
                await asyncio.sleep(0.01)
    assert [line["problem"] for line in lines if line["event"] == "request"] == ["upload_malformed"]
    assert await rows(parts) == (0, 0)
    assert stored() == []


async def test_a_slow_upload_holds_up_nobody(server):
    """No transaction is open while a body comes in: on SQLite it would lock all other writers out."""
    address, parts, key = server
    body = HEAD + b"ID3" + bytes(300_000) + TAIL
    async with _raw(address, _head(key, len(body))) as (reader, writer):
        writer.write(body[:200_000])
        await writer.drain()
        async with asyncio.timeout(10):
            await make_job(parts.store, await make_principal(parts.store))
        writer.write(body[200_000:])
        await writer.drain()
        assert await _status(reader) == 202
    assert await rows(parts) == (2, 2)


async def test_the_answer_of_an_upload_is_the_job(server):
    address, _, key = server
    body = HEAD + b"ID3abc" + TAIL
    async with _raw(address, _head(key, len(body), "Connection: close\n")) as (reader, writer):
        writer.write(body)
        await writer.drain()
        async with asyncio.timeout(20):
            head, _, answer = (await reader.read()).partition(b"\r\n\r\n")
    assert b"location: /api/v1/jobs/" in head.lower()
    assert json.loads(answer)["asset"]["size_bytes"] == 6


@pytest.mark.parametrize("megabytes", [2, 40])
async def test_too_large_with_content_length_is_answered_to_clients_that_send_first(server, stored, megabytes: int):
    address, _, key = server
    async with httpx.AsyncClient(base_url=address, headers={"authorization": f"Bearer {key}"}) as client:
        files = {"file": ("a.mp3", b"ID3" + bytes(megabytes * 1_000_000), "audio/mpeg")}
        answer = await client.post("/api/v1/jobs", files=files)
    assert_problem(answer, 413, "too_large")
    assert stored() == []
