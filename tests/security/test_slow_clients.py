"""Clients that take their time: they hold nobody up, and are cut off in the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from app.cli import web
from app.routes import middleware
from app.routes.deps import parts_of_app
from app.settings import Settings
from tests.support.portal import new_app
from tests.support.web import make_key, rows, served

CONNECTIONS = 100


@asynccontextmanager
async def _connection(address: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    url = httpx.URL(address)
    reader, writer = await asyncio.open_connection(url.host, url.port)
    try:
        yield reader, writer
    finally:
        writer.close()


@pytest.fixture
async def server(tmp_path: Path, sqlite_dsn: str) -> AsyncIterator[tuple[str, str, httpx.AsyncClient]]:
    """Address, API key, and a client that is in a hurry."""
    app = await new_app(Settings(data_dir=tmp_path, database_url=sqlite_dsn))
    async with served(app) as address:
        key = await make_key(parts_of_app(app))
        headers = {"authorization": f"Bearer {key}"}
        async with httpx.AsyncClient(base_url=address, headers=headers, timeout=10) as client:
            yield address, key, client
        assert await rows(parts_of_app(app)) == (0, 0)


async def test_unfinished_headers_hold_up_nobody(server):
    address, _, client = server
    async with AsyncExitStack() as stack:
        for _ in range(CONNECTIONS):
            _, writer = await stack.enter_async_context(_connection(address))
            writer.write(b"GET /api/v1/me HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Slow: ")
            await writer.drain()
        assert (await client.get("/api/v1/me")).status_code == 200


def test_who_dribbles_headers_is_cut_off_soon():
    """That the server does so is its own business; by itself it would wait for 30 s."""
    assert 0 < web._HEADERS_TIMEOUT_MS <= 10_000


@pytest.mark.parametrize(
    ("path", "media_type"), [("/api/v1/jobs", "audio/mpeg"), ("/api/v1/batches", "application/json")]
)
async def test_a_body_that_stops_coming_is_given_up(
    server, monkeypatch: pytest.MonkeyPatch, path: str, media_type: str
):
    monkeypatch.setattr(middleware, "_SILENCE_LIMIT_S", 0.2)
    address, key, client = server
    head = f"POST {path} HTTP/1.1\nHost: 127.0.0.1\nAuthorization: Bearer {key}\nContent-Type: {media_type}\n"
    with capture_logs() as lines:
        async with _connection(address) as (reader, writer):
            writer.write((head + "Content-Length: 5000\n\n").replace("\n", "\r\n").encode() + b"ID3")
            await writer.drain()
            assert (await client.get("/api/v1/me")).status_code == 200
            async with asyncio.timeout(20):
                answer = await reader.readuntil(b"\r\n")
    assert answer.startswith(b"HTTP/1.1 400")
    assert not [line for line in lines if line["log_level"] == "error"]
