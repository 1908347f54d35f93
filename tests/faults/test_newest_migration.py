"""The newest migration is applied while the previous version still runs: what that one reads and writes must stay possible."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import Connection, inspect
from sqlalchemy.types import TypeEngine

from app.db import migrations
from app.db.engine import Database
from app.db.migrations import upgrade


@pytest.fixture
async def empty(dsn: str) -> AsyncIterator[Database]:
    database = Database(dsn)
    yield database
    await database.close()


def _described(connection: Connection) -> dict[str, dict[str, Any]]:
    """Of each table what a program that writes to it has to know."""
    inspector = inspect(connection)
    return {
        table: {
            "columns": {column["name"]: column for column in inspector.get_columns(table)},
            "unique": {tuple(sorted(it["column_names"])) for it in inspector.get_unique_constraints(table)}
            | {tuple(sorted(it["column_names"])) for it in inspector.get_indexes(table) if it["unique"]},
            "checks": {it["sqltext"] for it in inspector.get_check_constraints(table)},
            "foreign": {tuple(it["constrained_columns"]) for it in inspector.get_foreign_keys(table)},
        }
        for table in inspector.get_table_names()
        if table != "alembic_version"
    }


async def _tables(database: Database) -> dict[str, dict[str, Any]]:
    async with database.engine.connect() as connection:
        return await connection.run_sync(_described)


def _faults(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """What the previous version would stumble over in a table that it knows."""
    old, new = before["columns"], after["columns"]
    faults = [f"{name} is gone" for name in old.keys() - new.keys()]
    for name in old.keys() & new.keys():
        if _narrower(old[name]["type"], new[name]["type"]):
            faults.append(f"{name} does not take all that it took")
        if old[name]["nullable"] and not new[name]["nullable"]:
            faults.append(f"{name} must be given now")
    added = new.keys() - old.keys()
    unset = [name for name in added if not new[name]["nullable"] and new[name]["default"] is None]
    faults += [f"{name} is new and has no default in the database" for name in unset]
    rules = [rule for kind in ("unique", "foreign") for rule in after[kind] - before[kind] if not set(rule) & added]
    return faults + [f"{rule} is a new rule" for rule in [*rules, *(after["checks"] - before["checks"])]]


def _narrower(old: TypeEngine[Any], new: TypeEngine[Any]) -> bool:
    same_kind = type(old) is type(new)
    return not same_kind or (getattr(new, "length", None) or math.inf) < (getattr(old, "length", None) or math.inf)


async def test_the_previous_version_goes_on_with_the_newest_schema(empty):
    script = migrations._scripts()
    newest = script.get_current_head()
    previous = script.get_revision(newest).down_revision
    await upgrade(empty, previous)
    before = await _tables(empty)
    await upgrade(empty, newest)
    after = await _tables(empty)
    assert before.keys() <= after.keys()
    faults = {table: found for table in before if (found := _faults(before[table], after[table]))}
    assert faults == {}


BEFORE = "CREATE TABLE t (a VARCHAR(10), b VARCHAR(10) NOT NULL, c INTEGER)"
AFTER = """CREATE TABLE t (
    a VARCHAR(5) NOT NULL, b VARCHAR(20) NOT NULL, d INTEGER NOT NULL, e INTEGER, f INTEGER DEFAULT 0 NOT NULL,
    UNIQUE (b), CHECK (e > 0)
)"""


async def test_what_would_stop_the_previous_version_is_named(empty):
    described = []
    for table in (BEFORE, AFTER):
        async with empty.engine.begin() as connection:
            await connection.exec_driver_sql(table)
        described.append((await _tables(empty))["t"])
        async with empty.engine.begin() as connection:
            await connection.exec_driver_sql("DROP TABLE t")
    *others, check = sorted(_faults(*described))
    assert others == [
        "('b',) is a new rule",
        "a does not take all that it took",
        "a must be given now",
        "c is gone",
        "d is new and has no default in the database",
    ]
    assert check.endswith("is a new rule")
