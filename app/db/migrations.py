"""Bring a database to a revision of ``alembic/versions``, and tell whether it is there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.engine import Database

SCRIPTS = Path(__file__).resolve().parents[2] / "alembic"


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config


@asynccontextmanager
async def _migrating(database: Database) -> AsyncIterator[AsyncConnection]:
    """A transaction in which SQLite may rebuild a table: dropping the old one must not delete the rows that refer to it."""
    async with database.engine.connect() as connection:
        await _enforce_foreign_keys(connection, False)
        try:
            async with connection.begin():
                yield connection
        finally:
            await _enforce_foreign_keys(connection, True)


async def _enforce_foreign_keys(connection: AsyncConnection, wanted: bool) -> None:  # noqa: FBT001
    """SQLite heeds this outside a transaction only, so it must not pass through SQLAlchemy, which would begin one."""
    if connection.dialect.name == "sqlite":
        raw = await connection.get_raw_connection()
        assert raw.driver_connection is not None
        await raw.driver_connection.execute(f"PRAGMA foreign_keys={'ON' if wanted else 'OFF'}")


async def upgrade(database: Database, revision: str = "head") -> None:
    """Migrate up; does nothing if the database is there already."""
    async with _migrating(database) as connection:
        await connection.run_sync(lambda sync: command.upgrade(_config(sync), revision))


async def downgrade(database: Database, revision: str) -> None:
    async with _migrating(database) as connection:
        await connection.run_sync(lambda sync: command.downgrade(_config(sync), revision))


async def revision_of(database: Database) -> str | None:
    """The revision that the database is at; None if it is empty."""
    async with database.engine.connect() as connection:
        return await connection.run_sync(lambda sync: MigrationContext.configure(sync).get_current_revision())


def newest_revision() -> str | None:
    return _scripts().get_current_head()


def revisions() -> set[str]:
    """All revisions that this version knows."""
    return {script.revision for script in _scripts().walk_revisions()}


def _scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", str(SCRIPTS).replace("%", "%%"))
    return ScriptDirectory.from_config(config)
