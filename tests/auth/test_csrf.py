"""A session's cookie alone changes nothing: its token has to come along."""

from __future__ import annotations

import re

import httpx
import pytest
from litestar import Litestar

from app.routes.deps import WebParts
from tests.support.web import assert_problem, browser, make_key, program, rows, sign_in_locally

MP3 = {"file": ("a.mp3", b"ID3" + bytes(4000), "audio/mpeg")}


async def _token(client: httpx.AsyncClient) -> str:
    found = re.search(r'name="csrf-token" content="([0-9a-f]{64})"', (await client.get("/docs")).text)
    assert found
    return found[1]


@pytest.fixture
async def insider(visitor: httpx.AsyncClient, parts: WebParts) -> httpx.AsyncClient:
    await sign_in_locally(parts, visitor)
    return visitor


async def test_without_the_token_nothing_changes(insider: httpx.AsyncClient, parts: WebParts):
    for answer in (
        await insider.post("/api/v1/jobs", files=MP3),
        await insider.post("/api/v1/jobs", files=MP3, data={"_csrf_token": await _token(insider)}),
        await insider.post("/api/v1/jobs", files=MP3, headers={"x-csrf-token": "0" * 64}),
        await insider.post("/api/v1/jobs", files=MP3, headers={"x-csrf-token": ""}),
    ):
        assert_problem(answer, 403, "csrf_failed")
    assert await rows(parts) == (0, 0)
    assert (await insider.post("/sign-out")).status_code == 403
    assert (await insider.get("/api/v1/me")).status_code == 200


async def test_with_the_token_in_the_header_it_does(insider: httpx.AsyncClient):
    answer = await insider.post("/api/v1/jobs", files=MP3, headers={"x-csrf-token": await _token(insider)})
    assert answer.status_code == 202


async def test_each_session_has_a_token_of_its_own(app: Litestar, insider: httpx.AsyncClient, parts: WebParts):
    first = await _token(insider)
    async with browser(app) as second:
        await sign_in_locally(parts, second)
        assert await _token(second) != first
        answer = await second.post("/api/v1/jobs", files=MP3, headers={"x-csrf-token": first})
        assert_problem(answer, 403, "csrf_failed")
    await sign_in_locally(parts, insider)
    assert await _token(insider) != first


async def test_who_is_not_signed_in_has_no_token(visitor: httpx.AsyncClient):
    assert 'name="csrf-token" content=""' in (await visitor.get("/docs")).text
    assert_problem(await visitor.post("/api/v1/jobs", files=MP3), 401, "unauthenticated")


async def test_programs_need_none(app: Litestar, parts: WebParts):
    async with program(app, await make_key(parts)) as client:
        assert (await client.post("/api/v1/jobs", files=MP3)).status_code == 202


async def test_a_form_with_a_body_too_large_is_not_read_for_its_token(insider: httpx.AsyncClient):
    form = {"padding": "x" * 70_000, "_csrf_token": await _token(insider)}
    assert (await insider.post("/sign-out", data=form)).status_code == 403
