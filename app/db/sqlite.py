"""SQLite with one step for each statement.

aiosqlite has the connection's thread make a cursor, execute, fetch and close it, one after the other. Each costs two changes of
threads, which is more than most of our statements take. As SQLAlchemy fetches everything anyway, all of it can be one step.

No cursor leaves that thread: one that ended on the event loop's would wait for the connection, and all else with it, while the
connection waits for another writer.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from threading import Thread
from typing import Any, Self
from weakref import WeakSet

import aiosqlite

_Parameters = Sequence[Any] | dict[str, Any]


@dataclass(slots=True)
class _Outcome:
    """What a cursor knows after its statement."""

    description: Any = None
    rowcount: int = -1
    lastrowid: int | None = None
    rows: Sequence[Any] = ()


class _Connection(aiosqlite.Connection):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._thread.daemon = True  # as SQLAlchemy does with connections that it makes itself

    @property
    def thread(self) -> Thread:
        thread: Thread = self._thread
        return thread

    def cursor(self) -> _Cursor:  # type: ignore[override]  # SQLAlchemy enters it as it does aiosqlite's own
        return _Cursor(self)

    async def run(self, sql: str, parameters: Any, *, many: bool) -> _Outcome:
        outcome: _Outcome = await self._execute(self._run, sql, parameters, many)  # type: ignore[no-untyped-call]
        return outcome

    def _run(self, sql: str, parameters: Any, many: bool) -> _Outcome:  # noqa: FBT001  aiosqlite passes arguments by position
        with closing(self._conn.cursor()) as cursor:
            (cursor.executemany if many else cursor.execute)(sql, parameters)
            rows = cursor.fetchall() if cursor.description else ()
            return _Outcome(cursor.description, cursor.rowcount, cursor.lastrowid, rows)


class _Cursor:
    """What SQLAlchemy uses of aiosqlite's cursors."""

    def __init__(self, connection: _Connection) -> None:
        self._connection = connection
        self._outcome = _Outcome()

    async def __aenter__(self) -> Self:
        return self

    async def execute(self, sql: str, parameters: _Parameters = ()) -> Self:
        self._outcome = await self._connection.run(sql, parameters, many=False)
        return self

    async def executemany(self, sql: str, parameters: Iterable[_Parameters]) -> Self:
        self._outcome = await self._connection.run(sql, parameters, many=True)
        return self

    async def fetchall(self) -> Sequence[Any]:
        return self._outcome.rows

    async def close(self) -> None:
        """Nothing is left to be closed: the statement has run to its end."""

    @property
    def description(self) -> Any:
        return self._outcome.description

    @property
    def rowcount(self) -> int:
        return self._outcome.rowcount

    @property
    def lastrowid(self) -> int | None:
        return self._outcome.lastrowid


class Connections:
    """The connections of one engine, and the threads in which they work."""

    def __init__(self) -> None:
        self._threads: WeakSet[Thread] = WeakSet()

    def connect(self, database: str, **options: Any) -> aiosqlite.Connection:
        """One that opens when it is awaited, for the ``connect_args`` of the engine."""
        connection = _Connection(partial(sqlite3.connect, database, **options), iter_chunk_size=64)
        self._threads.add(connection.thread)
        return connection

    async def ended(self, patience_s: float) -> None:
        """Wait for those that were told to end: they still answer to the event loop, which had better not be gone by then."""
        until_s = time.monotonic() + patience_s
        for thread in [thread for thread in self._threads if thread.is_alive()]:
            await asyncio.to_thread(thread.join, max(0, until_s - time.monotonic()))
