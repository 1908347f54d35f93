"""The migrations make exactly the tables that the models describe, on each kind of server, and can be taken back."""

from __future__ import annotations

import uuid
from datetime import datetime

import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, inspect

from app.db.engine import Database
from app.db.migrations import downgrade, newest_revision, revision_of, upgrade
from app.db.models import Base, Job
from app.domain.ids import new_id, utc_now
from app.domain.jobs import AnalysisScope


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


_TYPES = {uuid.UUID: sa.Uuid(), datetime: sa.DateTime(timezone=True), str: sa.String(), int: sa.Integer()}


def _insert(table: str, **values: uuid.UUID | datetime | str | int) -> sa.Insert:
    """Into a table as it was, whatever the models say today."""
    columns = (sa.column(name, _TYPES[type(value)]) for name, value in values.items())
    return sa.table(table, *columns).insert().values(**values)


def _rows_of_the_first_version() -> list[sa.Insert]:
    asset_id, job_id, now = new_id(), new_id(), utc_now()
    file = {"sha256": "0" * 64, "size_bytes": 9, "name": "a.mp3", "container": "mp3", "created_at": now}
    life = {"state": "done", "attempt": 1, "losses": 0, "rung_at": now, "created_at": now}
    return [
        _insert("assets", id=asset_id, **file),
        _insert("jobs", id=job_id, asset_id=asset_id, kind="genre", **life),
        _insert("reviews", id=new_id(), job_id=job_id, reason="low_probability", created_at=now),
    ]


async def test_a_migration_keeps_what_was_there(dsn: str):
    database = Database(dsn)
    await upgrade(database, "0001")
    async with database.engine.begin() as connection:
        for statement in _rows_of_the_first_version():
            await connection.execute(statement)
    await upgrade(database)
    async with database.reading() as session:
        job = (await session.scalars(sa.select(Job))).one()
    assert job.scope is AnalysisScope.START
    assert job.attributes == {}
    assert job.review is not None
    await database.close()


async def test_the_tables_are_those_of_the_models(database: Database):
    def differences(connection: Connection) -> list[object]:
        return compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata)

    async with database.engine.connect() as connection:
        assert await connection.run_sync(differences) == []
