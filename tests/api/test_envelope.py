"""What goes around every answer: request ids, headers, one line in the log."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from litestar import Litestar, get
from sqlalchemy import event
from structlog.testing import capture_logs

from app.routes.deps import WebParts, WebRequest
from app.routes.guards import public
from app.routes.middleware import content_security_policy
from app.settings import Settings
from tests.support.portal import new_app, running
from tests.support.web import browser, make_key, program, sign_in_locally


@contextmanager
def count_connections(parts: WebParts) -> Iterator[list[object]]:
    made: list[object] = []
    engine = parts.store.database.engine.sync_engine

    def note(connection: object, *_: object) -> None:
        made.append(connection)

    event.listen(engine, "checkout", note)
    yield made
    event.remove(engine, "checkout", note)


@pytest.mark.parametrize("path", ["/health/live", "/sign-in", "/api/v1/me", "/nothing", "/docs", "/openapi.json"])
async def test_every_answer_is_wrapped(app: Litestar, path: str):
    async with browser(app) as visitor:
        headers = (await visitor.get(path)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert re.fullmatch(r"[0-9a-f]{16}", headers["x-request-id"])
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert headers["cache-control"] in {"no-store", "no-cache"}


def test_the_provider_may_be_the_target_of_a_form():
    policy = content_security_policy("https://login.test/realms/music")
    assert "form-action 'self' https://login.test" in policy
    assert content_security_policy(None).endswith("form-action 'self'")


@pytest.mark.parametrize(
    ("sent", "kept"),
    [("trace-0001", True), ("short", False), ("a" * 65, False), ("line\tbreak-0001", False), ("quote'quote'", False)],
)
async def test_a_sane_request_id_is_kept(app: Litestar, *, sent: str, kept: bool):
    async with program(app) as client:
        answer = await client.get("/health/live", headers={"x-request-id": sent})
    assert (answer.headers["x-request-id"] == sent) is kept


async def test_one_line_for_each_request_and_no_secret_in_it(app: Litestar, parts: WebParts):
    key = await make_key(parts)
    async with program(app, key) as client:
        with capture_logs() as lines:
            await client.get(
                "/api/v1/jobs", params={"text": "private words"}, headers={"cookie": "earmark-session=abc123"}
            )
    [line] = [line for line in lines if line["event"] == "request"]
    assert line.pop("duration_ms") >= 0
    assert line.pop("request_id")
    assert line == {"event": "request", "log_level": "info", "method": "GET", "path": "/api/v1/jobs", "status": 200}
    for secret in (key, "private", "abc123"):
        assert secret not in f"{lines}"


async def test_health_checks_and_static_files_are_quiet(app: Litestar, parts: WebParts):
    async with program(app) as client:
        with capture_logs() as lines:
            await client.get("/health/live")
            await client.get(f"/static/{parts.config.static_version}/img/favicon.svg")
    assert [line["log_level"] for line in lines if line["event"] == "request"] == ["debug", "debug"]


async def test_static_files_may_be_kept_for_ever_under_their_version(app: Litestar, parts: WebParts):
    async with program(app) as client:
        answer = await client.get(f"/static/{parts.config.static_version}/img/favicon.svg")
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert (await client.get("/static/img/favicon.svg")).status_code == 404


async def test_static_files_ask_nobody_who_they_are(app: Litestar, parts: WebParts):
    path = f"/static/{parts.config.static_version}/img/favicon.svg"
    async with browser(app) as visitor:
        await sign_in_locally(parts, visitor)
        await parts.store.database.close()
        with count_connections(parts) as connections:
            assert (await visitor.get(path)).status_code == 200
            assert connections == []
            assert (await visitor.get("/api/v1/me")).status_code == 200
            assert connections


async def test_pages_of_people_are_kept_by_nobody(app: Litestar, parts: WebParts):
    async with browser(app) as visitor:
        await sign_in_locally(parts, visitor)
        for path in ("/", "/jobs", "/api/v1/me"):
            assert (await visitor.get(path)).headers["cache-control"] == "no-store"


@get("/seen", opt=public("a test"), sync_to_thread=False)
def seen(request: WebRequest) -> str:
    return f"{request.url.scheme} {request.client.host if request.client else None}"


@pytest.mark.parametrize(
    ("trusted", "expected"),
    [
        (("127.0.0.1",), "https 1.2.3.4"),
        (("127.0.0.0/8",), "https 1.2.3.4"),
        ((), "http 127.0.0.1"),
        (("10.0.0.1",), "http 127.0.0.1"),
    ],
)
async def test_only_trusted_proxies_say_who_the_client_is(
    settings: Settings, *, trusted: tuple[str, ...], expected: str
):
    app = await new_app(settings.model_copy(update={"trusted_proxies": trusted}))
    app.register(seen)
    async with running(app), program(app) as client:
        answer = await client.get("/seen", headers={"x-forwarded-proto": "https", "x-forwarded-for": "1.2.3.4"})
    assert answer.text == expected
