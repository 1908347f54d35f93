from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from app.domain.permissions import Role
from app.routes.deps import WebParts, parts_of_app
from app.settings import Settings
from tests.support.web import make_key, program, web_application


@pytest.fixture
def settings(tmp_path: Path, sqlite_dsn: str) -> Settings:
    return Settings(data_dir=tmp_path / "data", database_url=sqlite_dsn, upload_limit_bytes=1_000_000)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Litestar]:
    async with web_application(settings) as app:
        yield app


@pytest.fixture
def parts(app: Litestar) -> WebParts:
    return parts_of_app(app)


@pytest.fixture
async def api(app: Litestar, parts: WebParts) -> AsyncIterator[httpx.AsyncClient]:
    """A program that may upload."""
    async with program(app, await make_key(parts, Role.UPLOADER)) as client:
        yield client


@pytest.fixture
def stored(settings: Settings):
    """What lies in storage."""
    return lambda: [path for path in settings.storage_dir.rglob("*") if path.is_file()]
