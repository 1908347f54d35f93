"""The migrations make exactly the tables that the models describe, on each kind of server, and can be taken back."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect

from app.db.engine import Database
from app.db.migrations import downgrade, newest_revision, revision_of, upgrade
from app.db.models import Base


async def test_up_and_down_and_up_again(dsn: str):
    database = Database(dsn)
    assert await revision_of(database) is None
    await upgrade(database)
    assert await revision_of(database) == newest_revision()
    await downgrade(database, "base")
    async with database.engine.connect() as connection:
        assert await connection.run_sync(lambda sync: inspect(sync).get_table_names()) == ["alembic_version"]
    await upgrade(database)
    await upgrade(database)
    assert await revision_of(database) == newest_revision()
    await database.close()


async def test_the_tables_are_those_of_the_models(database: Database):
    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata)

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
