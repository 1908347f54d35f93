"""Keys can't be guessed by trying: an address that was refused too often is shut out for a while, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from app.domain.tokens import new_api_key
from app.integrations.valkey import EmbeddedValkey
from app.routes.deps import parts_of_app
from app.routes.guesses import REFUSALS_LIMIT
from app.settings import Settings
from tests.support.web import assert_problem, make_key, web_application

ME = "/api/v1/me"


@pytest.fixture
async def processes(tmp_path: Path, sqlite_dsn: str) -> AsyncIterator[list[Litestar]]:
    """Two web processes of one installation."""
    settings = Settings(data_dir=tmp_path / "data", database_url=sqlite_dsn)
    settings.prepare_data_dir()
    valkey = EmbeddedValkey(settings.data_dir)
    valkey.start()
    try:
        async with web_application(settings) as one, web_application(settings) as other:
            yield [one, other]
    finally:
        valkey.stop()


def _from(app: Litestar, address: str) -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app=app, client=(address, 40_000))  # type: ignore[arg-type]
    return httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080")


async def _try(client: httpx.AsyncClient, key: str) -> httpx.Response:
    return await client.get(ME, headers={"authorization": f"Bearer {key}"})


async def test_guessing_is_shut_out_and_nobody_else_is(processes: list[Litestar]):
    known, fresh = [await make_key(parts_of_app(processes[0]), name=name) for name in ("known", "fresh")]
    async with _from(processes[0], "198.51.100.7") as guesser, _from(processes[0], "198.51.100.8") as neighbour:
        assert (await _try(guesser, known)).status_code == 200
        answers = await asyncio.gather(*(_try(guesser, new_api_key()) for _ in range(REFUSALS_LIMIT)))
        assert {answer.status_code for answer in answers} == {401}
        shut = await _try(guesser, new_api_key())
        assert_problem(shut, 429, "rate_limited")
        assert 1 <= int(shut.headers["retry-after"]) <= 60
        assert (await _try(guesser, fresh)).status_code == 429, "a right guess must not be told from a wrong one"
        assert (await _try(guesser, known)).status_code == 200, "what worked before goes on working"
        assert (await _try(neighbour, fresh)).status_code == 200
        assert (await _try(neighbour, new_api_key())).status_code == 401


async def test_all_processes_count_together(processes: list[Litestar]):
    async with _from(processes[0], "198.51.100.7") as one, _from(processes[1], "198.51.100.7") as other:
        for _ in range(REFUSALS_LIMIT - 1):
            await _try(one, new_api_key())
        assert (await _try(other, new_api_key())).status_code == 401
        assert (await _try(other, new_api_key())).status_code == 429


@pytest.mark.parametrize(
    ("other", "status"), [("2001:db8:1:2:ffff::9", 429), ("2001:db8:1:3::1", 401)], ids=["same /64", "another"]
)
async def test_a_network_of_ipv6_is_one_address(processes: list[Litestar], other: str, status: int):
    async with _from(processes[0], "2001:db8:1:2::1") as guesser, _from(processes[0], other) as next_one:
        for _ in range(REFUSALS_LIMIT):
            await _try(guesser, new_api_key())
        assert (await _try(next_one, new_api_key())).status_code == status
