"""The web application for tests of the portal: real database and files, live progress within the process."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import httpx
from litestar import Litestar

from app.db.engine import Database
from app.db.migrations import upgrade
from app.db.uow import Store, Wakeup
from app.domain.jobs import JobKind
from app.domain.permissions import Role
from app.integrations.progress import Subscription
from app.main import create_app
from app.routes.deps import WebParts
from app.services.accounts import Identity, sign_in
from app.services.models import NewModel, activate_model, register_model
from app.settings import Settings

SESSION_COOKIE = "earmark-session"


@dataclass
class LocalProgress:
    """Doorbell and live progress in one, as Redis is between processes. ``broken``: nothing is heard any more."""

    wakeups: list[Wakeup] = field(default_factory=list)
    broken: bool = False
    _listeners: set[Subscription] = field(default_factory=set)

    async def wake(self, wakeups: list[Wakeup]) -> None:
        self.wakeups.extend(wakeups)

    async def tell(self, changed_jobs: list[uuid.UUID]) -> None:
        for listener in set() if self.broken else self._listeners:
            listener.add(set(changed_jobs))

    @contextlib.contextmanager
    def subscribe(self) -> Iterator[Subscription]:
        subscription = Subscription()
        self._listeners.add(subscription)
        try:
            yield subscription
        finally:
            self._listeners.discard(subscription)


@contextlib.asynccontextmanager
async def running(app: Litestar) -> AsyncIterator[None]:
    """The application's lifespan in a task of its own: fixtures begin and end in different ones."""
    ready, stop = asyncio.Event(), asyncio.Event()

    async def live() -> None:
        async with app.lifespan():
            ready.set()
            await stop.wait()

    task = asyncio.create_task(live())
    waiting = asyncio.create_task(ready.wait())
    await asyncio.wait({task, waiting}, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    try:
        if not task.done():
            yield
    finally:
        stop.set()
        await task


async def new_app(settings: Settings) -> Litestar:
    """On an empty, migrated database."""
    settings.prepare_data_dir()
    database = Database(settings.database_dsn)
    await upgrade(database)
    await database.close()
    return create_app(settings)


def use_local_progress(app: Litestar, progress: LocalProgress) -> Store:
    """In a running application: live progress that needs no Redis. Returns the store that rings it."""
    parts: WebParts = app.state.parts
    store = Store(parts.store.database, progress)
    app.state.parts = dataclasses.replace(parts, progress=progress, store=store)
    return store


def portal_settings(data_dir: Path, port: int = 8080, **others: object) -> Settings:
    limited = {"upload_limit_bytes": 2_000_000} | others
    return Settings(data_dir=data_dir, port=port, **limited)  # type: ignore[arg-type]


async def open_session(store: Store, role: Role = Role.UPLOADER, name: str = "Una Uhl") -> str:
    """The session token of a newly signed-in person."""
    identity = Identity(issuer="https://login.test", subject=f"{name}-{role}", name=name, email=None, role=role)
    async with store.writing() as uow:
        return await sign_in(uow, identity, lifetime=timedelta(hours=1))


async def activate_starter(store: Store) -> None:
    async with store.writing() as uow:
        new = NewModel(kind=JobKind.GENRE, name="starter", version="1", sha256="5" * 64, starter=True, card={})
        await register_model(uow, new)
        await activate_model(uow, "starter")


@dataclass
class Person:
    """Somebody at a browser without scripts. Addresses are relative; answers are whole."""

    http: httpx.AsyncClient

    async def get(self, path: str, *, part: bool = False, **headers: str) -> httpx.Response:
        return await self.http.get(path, headers={**self._headers(part), **headers})

    async def post(self, path: str, **options: object) -> httpx.Response:
        """As the portal's scripts do it, with the token of the page."""
        token = await self.token()
        return await self.http.post(path, headers={**self._headers(True), "x-csrf-token": token}, **options)

    async def token(self) -> str:
        found = re.search(r'name="csrf-token" content="(\w+)"', (await self.get("/help")).text)
        assert found is not None
        return found[1]

    def _headers(self, part: bool) -> dict[str, str]:
        return {"accept": "text/html"} | ({"hx-request": "true"} if part else {})


def person_at(app: Litestar, session: str | None) -> Person:
    cookies = {SESSION_COOKIE: session} if session else {}
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    return Person(httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8080", cookies=cookies))
