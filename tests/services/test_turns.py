"""Writers of one SQLite file take turns, over processes too."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from app.db.engine import Database
from app.db.turns import Turns
from tests.support.installation import ROOT

# Six who write without a pause, until they are killed; a line when they have begun.
GREEDY = """
import asyncio, sys
from sqlalchemy import text
from app.db.engine import Database

async def write(database):
    while True:
        async with database.writing() as session:
            await session.execute(text("UPDATE counters SET greedy = greedy + 1"))
            await session.execute(text("SELECT greedy FROM counters"))

async def main():
    database = Database(sys.argv[1])
    async with asyncio.TaskGroup() as writers:
        for _ in range(6):
            writers.create_task(write(database))
        print("begun", flush=True)

asyncio.run(main())
"""
COUNT = text("SELECT greedy FROM counters")


@pytest.fixture
async def database(tmp_path: Path):
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'turns.db'}")
    async with database.writing() as session:
        await session.execute(text("CREATE TABLE counters (greedy INTEGER)"))
        await session.execute(text("INSERT INTO counters VALUES (0)"))
    yield database
    await database.close()


async def test_who_writes_again_and_again_lets_others_pass(database: Database):
    command = [sys.executable, "-c", GREEDY, str(database.engine.url)]
    greedy = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE)
    assert greedy.stdout is not None
    try:
        await greedy.stdout.readline()
        passed = []
        for _ in range(40):
            async with database.reading() as session:
                before = await session.scalar(COUNT)
            async with database.writing() as session:
                passed.append(await session.scalar(COUNT) - before)
    finally:
        greedy.kill()
        await greedy.wait()
    assert 0 < sum(passed) / len(passed) <= 5, passed  # without turns some wait for dozens


async def test_who_has_only_opened_a_session_keeps_nobody_waiting(database: Database):
    async with asyncio.timeout(10), database.writing() as outer:
        async with database.writing() as inner:
            await inner.execute(text("UPDATE counters SET greedy = 1"))
        assert await outer.scalar(text("SELECT greedy FROM counters")) == 1


async def test_a_transaction_that_fails_ends_its_turn(database: Database):
    with pytest.raises(OperationalError):
        async with database.writing() as session:
            await session.execute(text("UPDATE nothing SET greedy = 1"))
    async with asyncio.timeout(10), database.writing() as session:
        await session.execute(text("UPDATE counters SET greedy = 1"))


async def test_who_gives_up_waiting_leaves_no_turn_behind(tmp_path: Path):
    one, other = (Turns(tmp_path / "turns.db", patience_s=60) for _ in range(2))
    await one.take()
    waiting = [asyncio.create_task(other.take()) for _ in range(2)]
    await asyncio.sleep(0)
    for task in waiting:
        task.cancel()
    await asyncio.wait(waiting)
    assert all(task.cancelled() for task in waiting)
    one.give_back()
    async with asyncio.timeout(10):
        for turns in (other, one):
            await turns.take()
            turns.give_back()
    one.close()
    other.close()


async def test_a_turn_that_never_ends_stops_nobody_for_ever(tmp_path: Path):
    one, other = (Turns(tmp_path / "turns.db", patience_s=0.01) for _ in range(2))
    await one.take()
    await other.take()
    one.close()
    other.close()


async def test_without_a_place_for_turns_there_are_none(tmp_path: Path):
    """SQLite, which then finds no place either, says so better."""
    turns = Turns(tmp_path / "missing" / "turns.db", patience_s=60)
    for _ in range(2):
        await turns.take()
        turns.give_back()
