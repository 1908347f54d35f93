"""What nobody in their right mind sends, to every address of the API: it is refused, or does no harm; never an unexpected error."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from app.domain.permissions import Role
from app.routes.deps import parts_of_app
from app.settings import Settings
from tests.support.mutations import CONTAINERS, mutated, originals
from tests.support.web import make_key, program, rows, web_application

NASTY = [
    "\0",
    "../../../etc/passwd",
    "'; DROP TABLE jobs; --",
    "a\r\nX-Injected: 1",
    "9" * 4_500,
    "-1",
    "NaN",
    "[" * 2_000,
    "0001-01-01T00:00:00+14:00",
    "9999-12-31T23:59:59.999999-14:00",
    "00000000-0000-0000-0000-000000000000",
    "\u202e\U0001f3b5",
]
DEEP = b'{"metadata": ' + b'{"a":' * 5_000
BODIES = [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"a": 1e400}', b"[" * 10_000, DEEP, b'{"name": "\\ud800"}', b'"x"']
# Their answers never end.
STREAMS = {"/api/v1/events/stream"}


@pytest.fixture
async def app(tmp_path: Path, sqlite_dsn: str) -> AsyncIterator[Litestar]:
    settings = Settings(data_dir=tmp_path, database_url=sqlite_dsn, rate_limits={})
    async with web_application(settings) as app:
        yield app


@pytest.fixture
async def admin(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with program(app, await make_key(parts_of_app(app), Role.ADMIN)) as client:
        yield client


def _operations(description: dict) -> Iterator[tuple[str, str, list[dict]]]:
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            if path not in STREAMS and isinstance(operation, dict):
                yield method.upper(), path, operation.get("parameters", [])


def _filled(path: str) -> str:
    return re.sub(r"\{\w*id\}", "01a1fc6c-294c-70ab-895a-f266f834db3e", path).replace("{number}", "1")


def _address(path: str, value: str) -> str:
    """With the value wherever the path has a place that is no id."""
    return re.sub(r"\{\w+\}", httpx.QueryParams({"x": value}).__str__()[2:], _filled(path))


def assert_foreseen(answer: httpx.Response, what: str) -> None:
    assert answer.status_code < 500, f"{what}: {answer.text}"
    assert "x-injected" not in answer.headers


async def test_no_parameter_of_any_operation_causes_an_unexpected_error(admin: httpx.AsyncClient):
    description = (await admin.get("/openapi.json")).json()
    asked = 0
    for method, path, parameters in _operations(description):
        if method not in {"GET", "DELETE"}:
            continue
        names = [one["name"] for one in parameters if one["in"] == "query" and one["name"] != "wait"]
        for value in NASTY:
            together = dict.fromkeys(names[: 50_000 // len(value) // 3], value)  # no address is longer than 64 KB
            answer = await admin.request(method, _address(path, value), params=together)
            assert_foreseen(answer, f"{method} {path} {value[:30]!r}")
            asked += 1
        for name in names:  # alone, so that no other one is refused before it
            for value in NASTY[-5:]:
                answer = await admin.request(method, _filled(path), params={name: value})
                assert_foreseen(answer, f"{method} {path} {name}={value[:30]!r}")
    assert asked > 100


async def test_no_body_of_any_operation_causes_an_unexpected_error(admin: httpx.AsyncClient):
    description = (await admin.get("/openapi.json")).json()
    asked = 0
    for method, path, _ in _operations(description):
        if method not in {"POST", "PUT", "PATCH"}:
            continue
        for body in BODIES:
            for media_type in ("application/json", "multipart/form-data; boundary=x"):
                headers = {"content-type": media_type, "idempotency-key": f"k{asked}"}
                answer = await admin.request(method, _address(path, "x"), content=body, headers=headers)
                assert_foreseen(answer, f"{method} {path} {body[:30]!r}")
                asked += 1
    assert asked > 100


async def test_damaged_files_are_accepted_or_refused(app: Litestar, admin: httpx.AsyncClient):
    """What the decoder says of them is another matter; here nothing is decoded."""
    accepted = 0
    for container, content in originals().items():
        for seed in range(6):
            answer = await admin.post("/api/v1/jobs", files={"file": (container, mutated(content, seed), "audio/x")})
            assert answer.status_code in {202, 400, 415}
            accepted += answer.status_code == 202
    assert 0 < accepted < 6 * len(CONTAINERS)
    assert await rows(parts_of_app(app)) == (accepted, accepted)
