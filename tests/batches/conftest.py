from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from app.db.uow import Store
from app.domain.permissions import Principal, Role
from app.routes.deps import WebParts, parts_of_app
from app.settings import Settings
from tests.support.factories import make_principal
from tests.support.web import make_key, program, web_application


@pytest.fixture
async def una(store: Store) -> Principal:
    return await make_principal(store)


@pytest.fixture
async def ute(store: Store) -> Principal:
    """Somebody else with the same role."""
    return await make_principal(store, name="Ute")


@pytest.fixture
async def ada(store: Store) -> Principal:
    return await make_principal(store, Role.ADMIN, name="Ada")


@pytest.fixture
async def app(tmp_path: Path, sqlite_dsn: str) -> AsyncIterator[Litestar]:
    settings = Settings(data_dir=tmp_path / "data", database_url=sqlite_dsn, upload_limit_bytes=1_000_000)
    async with web_application(settings) as app:
        yield app


@pytest.fixture
def parts(app: Litestar) -> WebParts:
    return parts_of_app(app)


@pytest.fixture
async def api(app: Litestar, parts: WebParts) -> AsyncIterator[httpx.AsyncClient]:
    async with program(app, await make_key(parts, Role.UPLOADER)) as client:
        yield client
