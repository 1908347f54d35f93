"""Fixtures that everybody shares: real databases, migrated by alembic, and units of work on them."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import AsyncIterator, Iterator
from functools import cache
from pathlib import Path

import pytest
from xdist.scheduler import LoadScopeScheduling

from app.db.engine import Database
from app.db.migrations import upgrade
from app.db.uow import Store
from app.db.vault import Vault
from app.integrations.files import Files, local_files
from tests.support.first_run import ROOT, FirstRun
from tests.support.outside import RecordingOutside
from tests.support.postgres import PostgresServer

# A developer's own settings must not reach the tests.
for _name in [name for name in os.environ if name.startswith("EARMARK_")]:
    del os.environ[_name]

# Hundreds of commands are started, of which each would compile all modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# What seals the secrets in the databases of the tests.
SECRET_KEY = "k" * 32


class _ByFile(LoadScopeScheduling):
    """The tests of a file stay together, on one of the processes, and so do all that need the first run: it takes minutes."""

    def _split_scope(self, nodeid: str) -> str:
        path = nodeid.partition("::")[0]
        return "first run" if _needs_first_run(path) else path


@cache
def _needs_first_run(path: str) -> bool:
    return re.search(r"\b(first_run|starter_bundle)\b", (ROOT / path).read_text()) is not None


def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> _ByFile:
    return _ByFile(config, log)


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    server = PostgresServer()
    server.start()
    yield server
    server.remove()


@pytest.fixture
def sqlite_dsn(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'earmark.db'}"


@pytest.fixture
def postgres_dsn(postgres: PostgresServer) -> Iterator[str]:
    name = f"test_{uuid.uuid4().hex}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture(params=["sqlite", "postgres"])
def dsn(request: pytest.FixtureRequest) -> str:
    """Address of an empty database, on each kind of server."""
    return request.getfixturevalue(f"{request.param}_dsn")


@pytest.fixture
async def database(dsn: str) -> AsyncIterator[Database]:
    """A migrated database, on each kind of server."""
    database = Database(dsn, vault=Vault(SECRET_KEY))
    await upgrade(database)
    yield database
    await database.close()


@pytest.fixture
def outside() -> RecordingOutside:
    return RecordingOutside()


@pytest.fixture
def store(database: Database, outside: RecordingOutside) -> Store:
    """Units of work on each kind of server; what they ring for is remembered by ``outside``."""
    return Store(database, outside)


@pytest.fixture
async def sqlite_store(sqlite_dsn: str, outside: RecordingOutside) -> AsyncIterator[Store]:
    """The same on SQLite alone, where the server makes no difference."""
    database = Database(sqlite_dsn, vault=Vault(SECRET_KEY))
    await upgrade(database)
    yield Store(database, outside)
    await database.close()


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return local_files(tmp_path / "files")


@pytest.fixture(scope="session")
def first_run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FirstRun]:
    """Earmark, started by `make run` on an empty data folder; it has built the starter model and is running."""
    run = FirstRun(tmp_path_factory.mktemp("first-run") / "data")
    run.start()
    yield run
    run.kill()


@pytest.fixture(scope="session")
def starter_bundle(first_run: FirstRun) -> Path:
    """The starter model as the first start has built it."""
    [bundle] = (first_run.data_dir / "models" / "starter").iterdir()
    return bundle
