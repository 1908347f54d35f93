"""Every route for every role, by session and by key; and the headers that every answer carries."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from app.domain.permissions import Permission, Role
from app.routes.deps import WebParts, parts_of_app
from app.settings import Settings
from tests.support.portal import SESSION_COOKIE, open_session, person_at
from tests.support.web import browser, make_key, program, web_application

# Written a second time on purpose: whoever changes a role's rights changes them here too, and thinks twice.
FROM_VIEWERS = {Permission.JOBS_READ, Permission.MODELS_READ, Permission.VIEWS_SAVE}
FROM_UPLOADERS = FROM_VIEWERS | {
    Permission.JOBS_CREATE,
    Permission.API_KEYS_READ,
    Permission.API_KEYS_MANAGE,
    Permission.WEBHOOKS_READ,
    Permission.WEBHOOKS_MANAGE,
}
FROM_REVIEWERS = FROM_UPLOADERS | {Permission.GUIDE_CHANGE, Permission.REVIEWS_READ, Permission.REVIEWS_DECIDE}
MAY = {
    Role.VIEWER: FROM_VIEWERS,
    Role.UPLOADER: FROM_UPLOADERS,
    Role.REVIEWER: FROM_REVIEWERS,
    Role.ADMIN: set(Permission),
}
ENDLESS = {"/events"}  # for those who may listen
FOR_PEOPLE = {"/api/v1/api-keys", "/api/v1/api-keys/{key_id}"}  # a key makes no keys
HEADERS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(self), geolocation=()",
}


@dataclass(frozen=True)
class Route:
    method: str
    path: str
    permission: Permission | None

    @property
    def address(self) -> str:
        """Of things that do not exist: what counts is who is let in to find that out."""
        ids = re.sub(r"\{\w*id\}", "01a1fc6c-294c-70ab-895a-f266f834db3e", self.path)
        return re.sub(r"\{\w+\}", "1", ids)


def routes_of(app: Litestar) -> Iterator[Route]:
    for route in app.routes:
        if isinstance(route, HTTPRoute) and not route.path.startswith("/static/"):
            for handler in route.route_handlers:
                assert isinstance(handler, HTTPRouteHandler)
                for method in sorted(handler.http_methods - {"OPTIONS"}):
                    yield Route(method, route.path_format, handler.opt.get("permission"))


@pytest.fixture
async def app(tmp_path: Path, sqlite_dsn: str) -> AsyncIterator[Litestar]:
    settings = Settings(data_dir=tmp_path, database_url=sqlite_dsn, rate_limits={})
    async with web_application(settings) as app:
        yield app


@pytest.fixture
def parts(app: Litestar) -> WebParts:
    return parts_of_app(app)


def assert_headers(answer: httpx.Response, what: str) -> None:
    found = {name: answer.headers.get(name) for name in HEADERS}
    assert found == HEADERS, what
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy, what
    assert "unsafe" not in policy, what
    assert "frame-ancestors 'none'" in policy, what
    assert answer.headers["cache-control"], what


def assert_let_in(answer: httpx.Response, role: Role, route: Route) -> None:
    what = f"{role} {route.method} {route.path} needs {route.permission}: {answer.status_code}"
    assert answer.status_code < 500, what
    assert_headers(answer, what)
    if route.permission in MAY[role]:
        assert answer.status_code not in {401, 403}, what
    else:
        assert answer.status_code == 403, what


async def test_every_route_lets_in_by_session_who_may_and_nobody_else(app: Litestar, parts: WebParts):
    asked = 0
    for role in Role:
        person = person_at(app, await open_session(parts.store, role, f"{role}"))
        headers = {"accept": "text/html", "x-csrf-token": await person.token()}
        for route in routes_of(app):
            if route.permission is None or (route.path in ENDLESS and route.permission in MAY[role]):
                continue
            assert_let_in(await person.http.request(route.method, route.address, headers=headers), role, route)
            asked += 1
    assert asked > 400


async def test_every_route_of_the_api_lets_in_by_key_who_may_and_nobody_else(app: Litestar, parts: WebParts):
    asked = 0
    for role in Role:
        async with program(app, await make_key(parts, role, name=role)) as client:
            for route in routes_of(app):
                if route.permission is None or not route.path.startswith("/api/"):
                    continue
                answer = await client.request(route.method, route.address)
                if route.path in FOR_PEOPLE:
                    assert answer.status_code in {400, 403}, route  # 400: what was sent is looked at first
                else:
                    assert_let_in(answer, role, route)
                asked += 1
    assert asked > 160


async def test_every_public_route_carries_the_headers_too(app: Litestar):
    async with browser(app) as visitor:
        for route in routes_of(app):
            if route.permission is None:
                answer = await visitor.request(route.method, route.address)
                assert_headers(answer, f"{route.method} {route.path}")
        for path in ("/nothing", "/static/css/base.css", "/static/nothing.css"):
            assert_headers(await visitor.get(path), path)


async def test_no_change_goes_through_with_a_session_but_without_its_token(app: Litestar, parts: WebParts):
    person = person_at(app, await open_session(parts.store, Role.ADMIN, "Ada"))
    async with person.http as client:
        for route in routes_of(app):
            if route.permission is not None and route.method not in {"GET", "HEAD"}:
                answer = await client.request(route.method, route.address, headers={"x-csrf-token": "0" * 64})
                assert answer.status_code == 403, f"{route.method} {route.path}"


# --- sessions


async def test_a_session_that_an_attacker_has_chosen_is_never_taken_on(app: Litestar, parts: WebParts):
    chosen = "attackers-choice"
    person = person_at(app, chosen)
    async with person.http as client:
        assert (await client.get("/jobs", headers={"accept": "text/html"})).status_code == 303
        assert (await client.get("/api/v1/me")).status_code == 401
    session = await open_session(parts.store, Role.ADMIN, "Ada")
    assert session != chosen
    async with person_at(app, session).http as client:
        assert (await client.get("/api/v1/me")).json()["role"] == Role.ADMIN
        assert SESSION_COOKIE not in client.cookies or client.cookies[SESSION_COOKIE] == session


# --- paths

OUTSIDE = [
    "/static/../pyproject.toml",
    "/static/%2e%2e/pyproject.toml",
    "/static/..%2fpyproject.toml",
    "/static/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "/static//etc/passwd",
    "/static/css/..%5c..%5cpyproject.toml",
    "/static/%00",
    "/docs/..%2f..%2fpyproject.toml",
    "/docs/%2e%2e/openapi.json",
    "/api/v1/genres/..%2f..%2f..%2fetc%2fpasswd",
]


async def test_no_path_leads_out_of_a_folder(app: Litestar, parts: WebParts):
    person = person_at(app, await open_session(parts.store, Role.ADMIN, "Ada"))
    for path in OUTSIDE:
        answer = await person.http.get(httpx.URL("http://127.0.0.1:8080").copy_with(raw_path=path.encode()))
        assert answer.status_code in {400, 404}, path
        assert "[project]" not in answer.text, path
        assert "root:" not in answer.text, path
