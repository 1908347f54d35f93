"""The database: one engine, and two ways to open a session on it."""

from __future__ import annotations

import asyncio
import contextlib
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry
from sqlalchemy.util import await_only

from app.db import sqlite
from app.db.data_version import DataVersion
from app.db.turns import Turn, Turns
from app.db.vault import Vault

_READ_ONLY = "earmark_read_only"
_WRITING = "earmark_writing"
# What says who a person or a program is, and what they may.
_WRITES_IDENTITIES = re.compile(r"\s*(?:INSERT INTO|UPDATE|DELETE FROM) (?:users|api_keys)\b")
# How long a writer on SQLite waits for the one before it.
_BUSY_TIMEOUT_MS = 15_000
# How long it waits for its turn: a process that stands still in the middle of one must not hold up all others for long.
_TURN_PATIENCE_S = 2.0
_CLOSE_PATIENCE_S = 5.0


@dataclass(slots=True)
class _Writing:
    """A transaction that may write; whether it has written to people or API keys."""

    turn: Turn | None
    identities: bool = False


class Database:
    """SQLite or PostgreSQL, told by the address. ``writing`` commits at its end, ``reading`` never writes.

    ``identity_commits`` counts what was written to people and API keys through this object: while it stays the same, this
    process has changed none of them.
    ``vault`` opens the secrets in it; who has none comes to none.
    """

    def __init__(self, dsn: str, *, pool_size: int = 10, vault: Vault | None = None) -> None:
        self.vault = vault
        self.identity_commits = 0
        self._users = 0
        self._unused = asyncio.Event()
        self._unused.set()
        self.is_sqlite = dsn.startswith("sqlite")
        options: dict[str, Any] = {"pool_size": pool_size, "pool_pre_ping": True, "pool_recycle": 1800}
        self._connections = sqlite.Connections()
        if self.is_sqlite:
            options = {"connect_args": {"async_creator_fn": self._connections.connect}}
        self.engine: AsyncEngine = create_async_engine(dsn, **options)
        file = _file_of(self.engine.url)
        self._turns = Turns(file, patience_s=_TURN_PATIENCE_S) if file else None
        self._version = DataVersion(file) if file else None
        event.listen(self.engine.sync_engine, "before_cursor_execute", _note_identities)
        if self.is_sqlite:
            event.listen(self.engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(self.engine.sync_engine, "begin", _begin_sqlite)

    @asynccontextmanager
    async def writing(self) -> AsyncIterator[AsyncSession]:
        writing = _Writing(Turn(self._turns) if self._turns else None)
        engine = self.engine.execution_options(**{_WRITING: writing})
        with self._in_use():
            async with AsyncSession(engine, expire_on_commit=False) as session:
                try:
                    async with session.begin():
                        yield session
                finally:
                    if writing.turn:
                        writing.turn.end()
        self.identity_commits += writing.identities

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        with self._in_use():
            async with self.engine.connect() as connection:
                await connection.execution_options(**{_READ_ONLY: True})
                async with AsyncSession(connection, expire_on_commit=False) as session:
                    yield session

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        self._users += 1
        self._unused.clear()
        try:
            yield
        finally:
            self._users -= 1
            if not self._users:
                self._unused.set()

    def version(self) -> int | None:
        """Another number after every commit of whichever process; None where that can't be told without a query."""
        return self._version.current() if self._version else None

    async def close(self) -> None:
        """Let those who are at it finish: a connection that comes back to a closed pool is closed by nobody."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_PATIENCE_S):
                await self._unused.wait()
        await self.engine.dispose()
        await self._connections.ended(_CLOSE_PATIENCE_S)
        if self._turns:
            self._turns.close()
        if self._version:
            self._version.close()


def _file_of(url: URL) -> Path | None:
    """Of SQLite, unless it is in memory: only a file has several processes."""
    is_file = url.get_backend_name() == "sqlite" and url.database not in {None, "", ":memory:"}
    return Path(str(url.database)) if is_file else None


def _prepare_sqlite(connection: DBAPIConnection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # sqlite3's own BEGIN would come too late and too weak
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "foreign_keys=ON", f"busy_timeout={_BUSY_TIMEOUT_MS}"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    """Writers queue from their first statement on: a transaction that reads, then writes, would lose updates otherwise."""
    options = connection.get_execution_options()
    if options.get(_READ_ONLY, False):
        connection.exec_driver_sql("BEGIN")
        return
    writing: _Writing | None = options.get(_WRITING)
    if writing and writing.turn:
        await_only(writing.turn.take())
    connection.exec_driver_sql("BEGIN IMMEDIATE")


def _note_identities(connection: Connection, _cursor: object, statement: str, *_: object) -> None:
    writing: _Writing | None = connection.get_execution_options().get(_WRITING)
    if writing and _WRITES_IDENTITIES.match(statement):
        writing.identities = True
