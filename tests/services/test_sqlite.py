"""What a statement leaves behind ends on the thread of its connection: the event loop never waits for SQLite."""

from __future__ import annotations

import asyncio
import gc
import sqlite3
import threading
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError

from app.db.engine import Database


@pytest.fixture
async def database(tmp_path: Path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'steps.db'}")
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE notes (id INTEGER PRIMARY KEY, note TEXT)"))
    yield database
    await database.close()


async def test_statements_say_what_they_have_done(database: Database):
    async with database.writing() as session:
        added = await session.execute(text("INSERT INTO notes (note) VALUES ('a')"))
        assert (added.lastrowid, added.rowcount) == (1, 1)
        await session.execute(text("INSERT INTO notes (note) VALUES (:note)"), [{"note": "b"}, {"note": "c"}])
        assert (await session.execute(text("UPDATE notes SET note = 'd' WHERE id > 1"))).rowcount == 2
    async with database.reading() as session:
        rows = await session.execute(text("SELECT id, note FROM notes ORDER BY id"))
        assert list(rows.keys()) == ["id", "note"]
        assert rows.all() == [(1, "a"), (2, "d"), (3, "d")]
        assert (await session.execute(text("SELECT note FROM notes WHERE id = 4"))).all() == []


async def test_no_cursor_comes_to_the_event_loop(database: Database):
    async with database.writing() as session:
        await session.execute(text("INSERT INTO notes VALUES (1, 'a')"))
        kept = await session.execute(text("SELECT * FROM notes"))
        with pytest.raises(OperationalError) as unknown:
            await session.execute(text("SELECT nothing FROM notes"))
        with pytest.raises(IntegrityError) as twice:
            await session.execute(text("INSERT INTO notes VALUES (1, 'b')"))
        # Result and errors are still there, and with the errors the frames that they came through.
        cursors = [thing for thing in gc.get_objects() if type(thing) is sqlite3.Cursor]
        assert [_state(cursor) for cursor in cursors] == ["closed"] * len(cursors)
        assert kept.all() == [(1, "a")]
    assert [type(error.value.orig) for error in (unknown, twice)] == [sqlite3.OperationalError, sqlite3.IntegrityError]


def _state(cursor: sqlite3.Cursor) -> str:
    """It says which of the two is wrong with asking it here."""
    with pytest.raises(sqlite3.ProgrammingError) as refused:
        cursor.fetchone()
    return "closed" if "closed" in str(refused.value) else "open, on another thread"


async def test_who_waits_for_another_writer_holds_up_nobody_else(database: Database, tmp_path: Path):
    """The other one is outside: it has the file, and takes no turn."""
    outside = sqlite3.connect(tmp_path / "steps.db", isolation_level=None)
    outside.execute("BEGIN IMMEDIATE")
    locked = asyncio.Event()

    async def write() -> None:
        async with database.writing() as session:
            locked.set()
            await session.execute(text("INSERT INTO notes (note) VALUES ('late')"))

    writer = asyncio.create_task(write())
    await locked.wait()
    for _ in range(20):  # while it waits, reads on other connections come and go
        async with database.reading() as session:
            assert (await session.scalar(text("SELECT count(*) FROM notes"))) == 0
    assert not writer.done()
    outside.execute("COMMIT")
    outside.close()
    await writer
    async with database.reading() as session:
        assert (await session.scalar(text("SELECT count(*) FROM notes"))) == 1


async def test_who_is_reading_may_finish_before_the_database_is_closed(database: Database):
    reading, enough = asyncio.Event(), asyncio.Event()

    async def read() -> None:
        async with database.reading() as session:
            await session.execute(text("SELECT * FROM notes"))
            reading.set()
            await enough.wait()

    reader = asyncio.create_task(read())
    await reading.wait()
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    assert not closing.done()
    enough.set()
    await closing
    assert reader.done()


async def test_no_thread_answers_to_the_event_loop_once_a_database_is_closed(tmp_path: Path):
    """The loop may be closed next. A thread's last answer comes when its connection has said already that it is closed."""
    before = set(threading.enumerate())
    for number in range(20):
        database = Database(f"sqlite+aiosqlite:///{tmp_path / f'{number}.db'}")
        async with database.reading(), database.reading(), database.reading() as session:
            await session.execute(text("SELECT 1"))
        await database.close()
        assert [thread for thread in set(threading.enumerate()) - before if "connection_worker" in thread.name] == []
