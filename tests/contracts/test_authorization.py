"""Every route says who may use it, and what it says is what happens."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute

from app.domain.permissions import Permission
from app.main import create_app
from app.settings import Settings
from tests.support.web import browser, make_key, program, web_application

# Everybody may use these, for the reason that the route itself gives. A new one belongs here only after some thought.
PUBLIC = {
    "GET /sign-in",
    "GET /sign-in/{token}",
    "GET /sign-in/start",
    "GET /sign-in/callback",
    "POST /sign-in/backchannel-logout",
    "POST /sign-out",
    "GET /health/live",
    "GET /health/ready",
    "GET /metrics",  # asks for a token of its own
    "GET /openapi.json",
    "GET /docs",
    "GET /docs/errors",
    "GET /language/{code}",
    "PUT /api/v1/uploads/{upload_id}/parts/{number}",
}
STATIC_PREFIX = "/static/"
SAFE = {"GET", "HEAD"}


def _handlers(app: Litestar) -> Iterator[tuple[str, str, HTTPRouteHandler]]:
    for route in app.routes:
        if not isinstance(route, HTTPRoute) or route.path.startswith(STATIC_PREFIX):
            continue
        for handler in route.route_handlers:
            for method in handler.http_methods - {"OPTIONS"}:
                yield method, route.path_format, handler


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Litestar:
    return create_app(Settings(data_dir=tmp_path_factory.mktemp("data")))


def test_every_route_declares_a_permission_or_why_it_is_public(app: Litestar):
    for method, path, handler in _handlers(app):
        permission, reason = handler.opt.get("permission"), handler.opt.get("public")
        assert isinstance(permission, Permission) != bool(reason), f"{method} {path} declares neither or both"


def test_the_public_routes_are_the_known_ones(app: Litestar):
    assert {f"{method} {path}" for method, path, handler in _handlers(app) if handler.opt.get("public")} == PUBLIC


def test_reading_needs_a_reading_permission_and_changing_another(app: Litestar):
    for method, path, handler in _handlers(app):
        permission = handler.opt.get("permission")
        if permission is not None:
            assert (method in SAFE) == permission.endswith(":read"), f"{method} {path} needs {permission}"


@pytest.mark.parametrize("name", ["data", "with key"])
async def test_closed_routes_are_closed(app: Litestar, tmp_path: Path, sqlite_dsn: str, name: str):
    settings = Settings(data_dir=tmp_path / name, database_url=sqlite_dsn)
    async with web_application(settings) as running, program(running) as client, browser(running) as visitor:
        for method, path, handler in _handlers(app):
            if handler.opt.get("public"):
                continue
            address = re.sub(r"\{\w+_id\}", "01a1fc6c-294c-70ab-895a-f266f834db3e", path).replace("{code}", "en")
            answer = await (client if name == "with key" else visitor).request(method, address)
            api = path.startswith("/api/")
            expected = {401} if api or name == "with key" else {303}
            assert answer.status_code in expected, f"{method} {path}"
            if not api and name == "data":
                assert answer.headers["location"].startswith("/sign-in")


async def test_a_route_that_says_nothing_is_closed(tmp_path: Path, sqlite_dsn: str):
    from litestar import get  # noqa: PLC0415

    @get("/forgotten")
    async def forgotten() -> str:
        return "secret"

    async with web_application(Settings(data_dir=tmp_path, database_url=sqlite_dsn)) as app:
        app.register(forgotten)
        async with program(app) as client:
            assert (await client.get("/forgotten")).status_code == 401
        key = await make_key(app.state.parts)
        async with program(app, key) as client:
            assert (await client.get("/forgotten")).status_code == 401
