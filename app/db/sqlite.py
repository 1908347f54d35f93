"""SQLite with one step for each statement.

aiosqlite lets the connection's thread make a cursor, execute, fetch and close it, one after the other. Each costs two changes
of threads, which is more than most of our queries take. As SQLAlchemy fetches everything anyway, all of it can be one step.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any, Self

import aiosqlite

_Parameters = Sequence[Any] | dict[str, Any]


class _Connection(aiosqlite.Connection):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._thread.daemon = True  # as SQLAlchemy does with connections that it makes itself

    def cursor(self) -> _Cursor:  # type: ignore[override]  # SQLAlchemy needs no more of it
        return _Cursor(self)

    async def run(self, sql: str, parameters: Any, *, many: bool) -> tuple[sqlite3.Cursor, list[Any]]:
        """The cursor, for what it says of the statement, and all of its rows."""
        cursor, rows = await self._execute(self._run, sql, parameters, many)  # type: ignore[no-untyped-call]
        return cursor, rows

    def _run(self, sql: str, parameters: Any, many: bool) -> tuple[sqlite3.Cursor, list[Any]]:  # noqa: FBT001
        cursor = self._conn.cursor()
        (cursor.executemany if many else cursor.execute)(sql, parameters)
        return cursor, cursor.fetchall() if cursor.description else []


class _Cursor:
    """What SQLAlchemy uses of aiosqlite's cursors."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._cursor: sqlite3.Cursor | None = None
        self._rows: list[Any] = []

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: _Parameters = ()) -> Self:
        self._cursor, self._rows = await self._connection.run(sql, parameters, many=False)
        return self

    async def executemany(self, sql: str, parameters: Iterable[_Parameters]) -> Self:
        self._cursor, self._rows = await self._connection.run(sql, parameters, many=True)
        return self

    async def fetchall(self) -> list[Any]:
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Nothing is left to be closed: the statement has run to its end."""

    @property
    def description(self) -> Any:
        return self._cursor.description if self._cursor is not None else None

    @property
    def rowcount(self) -> int:
        return self._cursor.rowcount if self._cursor is not None else -1

    @property
    def lastrowid(self) -> int | None:
        return self._cursor.lastrowid if self._cursor is not None else None


def connect(database: str, **options: Any) -> aiosqlite.Connection:
    """A connection that opens when it is awaited, for the ``connect_args`` of an engine."""
    return _Connection(partial(sqlite3.connect, database, **options), iter_chunk_size=64)
