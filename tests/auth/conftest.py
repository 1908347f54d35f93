from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar

from app.domain.permissions import Role
from app.routes.deps import WebParts, parts_of_app
from app.settings import Settings
from tests.support.portal import new_app
from tests.support.processes import free_port, serving
from tests.support.web import browser, served, web_application

ROOT = Path(__file__).resolve().parents[2]
ROLE_MAP = {"curators": Role.REVIEWER, "operators": Role.ADMIN}


@pytest.fixture
def settings(tmp_path: Path, sqlite_dsn: str) -> Settings:
    """Local mode."""
    return Settings(data_dir=tmp_path / "data", database_url=sqlite_dsn)


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Litestar]:
    async with web_application(settings) as app:
        yield app


@pytest.fixture
def parts(app: Litestar) -> WebParts:
    return parts_of_app(app)


@pytest.fixture
async def visitor(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody's browser, not signed in."""
    async with browser(app) as client:
        yield client


# --- identity providers, as processes


@pytest.fixture(scope="session")
def app_port() -> int:
    """Where the application is expected by the providers, which know its address beforehand."""
    return free_port()


@pytest.fixture(scope="session")
def mock_issuer() -> Iterator[str]:
    """`oidc-provider-mock`: believes every client, and lets tests say what claims a person has."""
    port = free_port()
    with serving([str(Path(sys.executable).parent / "oidc-provider-mock"), "--port", str(port)], port):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(scope="session")
def certified_issuer(app_port: int) -> Iterator[str]:
    """`oidc-provider`, which is certified: insists on PKCE, on the client's secret and on registered addresses."""
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "APP": f"http://127.0.0.1:{app_port}"}
    with serving(["node", "tests/support/oidc_provider.mjs"], port, cwd=ROOT, env=environment):
        yield f"http://127.0.0.1:{port}"


@pytest.fixture(params=["mock", "certified"])
def issuer(request: pytest.FixtureRequest) -> str:
    return request.getfixturevalue(f"{request.param}_issuer")


@pytest.fixture
def oidc_settings(tmp_path: Path, sqlite_dsn: str, app_port: int, issuer: str) -> Settings:
    return Settings(
        port=app_port,
        data_dir=tmp_path / "data",
        database_url=sqlite_dsn,
        oidc_issuer=issuer,
        oidc_client_secret="a-secret-of-the-tests",
        oidc_scopes="openid profile email groups",
        oidc_role_map=ROLE_MAP,
    )


@pytest.fixture
async def oidc_app(oidc_settings: Settings) -> AsyncIterator[Litestar]:
    """The application behind a real server, where the provider expects it."""
    app = await new_app(oidc_settings)
    async with served(app, oidc_settings.port):
        yield app
