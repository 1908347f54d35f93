"""How much a caller may ask for: counted over all processes, told in every answer, and no obstacle without Redis."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from app.domain.permissions import Role
from app.integrations.rate_limits import RateLimits
from app.integrations.valkey import EmbeddedValkey
from app.routes.deps import parts_of_app
from app.settings import Settings
from tests.support.web import assert_problem, browser, make_key, program, sign_in_locally, web_application

ME = "/api/v1/me"
LIMITS = {Role.UPLOADER: 5, Role.VIEWER: 3, Role.ADMIN: 0}


@pytest.fixture
async def settings(tmp_path: Path, sqlite_dsn: str) -> AsyncIterator[Settings]:
    data_dir = tmp_path / "data"
    settings = Settings(data_dir=data_dir, database_url=sqlite_dsn, rate_limits=LIMITS)
    settings.prepare_data_dir()
    valkey = EmbeddedValkey(data_dir)
    valkey.start()
    yield settings
    valkey.stop()


@pytest.fixture
async def processes(settings: Settings) -> AsyncIterator[list[Litestar]]:
    """Two web processes of one installation."""
    async with web_application(settings) as one, web_application(settings) as other:
        yield [one, other]


async def test_all_processes_count_together_even_at_the_same_time(processes: list[Litestar]):
    key = await make_key(parts_of_app(processes[0]))
    async with program(processes[0], key) as one, program(processes[1], key) as other:
        answers = await asyncio.gather(*(client.get(ME) for client in (one, other) * 4))
        assert sorted(answer.status_code for answer in answers) == [200] * 5 + [429] * 3
        rests = sorted(
            int(re.findall(r'^"uploader";r=(\d+);t=\d+$', answer.headers["ratelimit"])[0]) for answer in answers
        )
        assert rests == [0, 0, 0, 0, 1, 2, 3, 4]
        assert {answer.headers["ratelimit-policy"] for answer in answers} == {'"uploader";q=5;w=60'}
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert_problem(refused, 429, "rate_limited")
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert (await one.get("/health/live")).status_code == 200


async def test_each_caller_has_its_own_and_each_role_its_limit(processes: list[Litestar]):
    app, parts = processes[0], parts_of_app(processes[0])
    keys = [await make_key(parts, role, name=role) for role in (Role.VIEWER, Role.UPLOADER, Role.ADMIN)]
    allowed = []
    for key in keys:
        async with program(app, key) as client:
            answers = [await client.get(ME) for _ in range(7)]
            allowed.append(sum(answer.status_code == 200 for answer in answers))
            assert ("ratelimit" in answers[0].headers) == (allowed[-1] < 7)
    assert allowed == [3, 5, 7]


async def test_pages_are_not_counted(processes: list[Litestar]):
    async with browser(processes[0]) as person:
        await sign_in_locally(parts_of_app(processes[0]), person)
        answer = await person.get("/help")
        assert answer.status_code == 200
        assert "ratelimit" not in answer.headers


async def test_without_redis_nobody_is_shut_out(tmp_path: Path, sqlite_dsn: str):
    settings = Settings(
        data_dir=tmp_path, database_url=sqlite_dsn, redis_url="redis://127.0.0.1:1/0", rate_limits=LIMITS
    )
    async with web_application(settings) as app, program(app, await make_key(parts_of_app(app))) as client:
        answers: list[httpx.Response] = [await client.get(ME) for _ in range(8)]
    assert {answer.status_code for answer in answers} == {200}
    assert not any("ratelimit" in answer.headers for answer in answers)


async def test_a_window_ends(settings: Settings):
    limits = RateLimits(EmbeddedValkey(settings.data_dir).url)
    first = await limits.take("key:a", 2, window_s=0.05)
    assert first is not None
    assert (first.count, 0 < first.left_s <= 0.05) == (2, True)
    await asyncio.sleep(first.left_s + 0.01)
    again = await limits.take("key:a", 1, window_s=0.05)
    await limits.close()
    assert again is not None
    assert again.count == 1
