"""The web application, real in every part, for tests: in the test's own event loop, or behind a real server."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar
from sqlalchemy import func, select

from app.db.models import ApiKey, Asset, Job
from app.domain.api_keys import NewApiKey
from app.domain.permissions import Role
from app.resources import Resources
from app.routes.deps import WebParts
from app.services import accounts, api_keys
from app.settings import Settings
from tests.support.portal import new_app, running
from tests.support.processes import free_port

BASE_URL = "http://127.0.0.1:8080"


@asynccontextmanager
async def web_application(settings: Settings) -> AsyncIterator[Litestar]:
    """The application on a migrated database, its lifespan begun."""
    app = await new_app(settings)
    async with running(app):
        yield app


def browser(app: Litestar, **options: Any) -> httpx.AsyncClient:
    """A client with a cookie jar that asks for HTML and follows no redirect by itself."""
    headers = {"accept": "text/html,*/*;q=0.8", **options.pop("headers", {})}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers, **options)


def program(app: Litestar, key: str | None = None) -> httpx.AsyncClient:
    """A client that speaks JSON, with an API key if it has one."""
    headers = {"authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=headers)


async def make_key(parts: WebParts | Resources, role: Role = Role.UPLOADER, name: str = "tester") -> str:
    async with parts.store.writing() as uow:
        return (await api_keys.create_api_key(uow, NewApiKey(name=name, role=role))).key


async def key_id(parts: WebParts, name: str) -> Any:
    async with parts.store.reading() as uow:
        return (await uow.session.scalars(select(ApiKey.id).where(ApiKey.name == name))).one()


async def sign_in_locally(parts: WebParts, client: httpx.AsyncClient) -> None:
    async with parts.store.writing() as uow:
        token = await accounts.create_sign_in_link(uow)
    answer = await client.get(f"/sign-in/{token}")
    assert answer.status_code == 303


async def rows(parts: WebParts) -> tuple[int, int]:
    """How many assets and jobs there are."""
    async with parts.store.reading() as uow:
        counts = [await uow.session.scalar(select(func.count()).select_from(table)) for table in (Asset, Job)]
    return counts[0] or 0, counts[1] or 0


@asynccontextmanager
async def served(app: Litestar, port: int | None = None) -> AsyncIterator[str]:
    """A real server in this event loop; yields its address. The application's lifespan is the server's."""
    port = port or free_port()
    server = Server(app, address="127.0.0.1", port=port, interface=Interfaces.ASGI, websockets=False, log_enabled=False)
    task = asyncio.create_task(server.serve())
    try:
        await _listening(port, task)
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop()
        await asyncio.wait_for(task, 20)


async def _listening(port: int, task: asyncio.Task[None]) -> None:
    async with asyncio.timeout(20):
        while True:
            assert not task.done()
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                await writer.wait_closed()
                return


def assert_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The one shape of every failure."""
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code
    assert problem["type"] == f"/docs/errors#{code}"
    assert problem["status"] == status
    assert problem["instance"] == answer.request.url.path
    assert problem["title"]
    assert problem["detail"]
    assert "{" not in problem["detail"]
    return problem
