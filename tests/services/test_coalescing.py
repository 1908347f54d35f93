"""Many callers, one query, and nobody gets what was read before it asked."""

from __future__ import annotations

import asyncio
from collections.abc import Collection

import pytest

from app.services.coalescing import Coalesced


class Source:
    """Answers with a number that grows; each query waits until it is let go."""

    def __init__(self) -> None:
        self.asked: list[list[str]] = []
        self.version = 0
        self.gate = asyncio.Semaphore(0)
        self.begun = asyncio.Semaphore(0)

    async def load(self, keys: Collection[str]) -> dict[str, int]:
        self.asked.append(sorted(keys))
        read = self.version
        self.begun.release()
        await self.gate.acquire()
        if "bad" in keys:
            raise ZeroDivisionError
        return {key: read for key in keys if key != "missing"}


async def test_who_comes_during_a_query_is_answered_by_the_next_one():
    source, coalesced = Source(), Coalesced[str, int]()
    first = asyncio.create_task(coalesced.get("a", source.load))
    await source.begun.acquire()
    source.version = 1
    later = [asyncio.create_task(coalesced.get(key, source.load)) for key in ("a", "a", "b", "missing")]
    await asyncio.sleep(0)
    source.gate.release()
    assert await first == 0
    source.gate.release()
    assert await asyncio.gather(*later) == [1, 1, 1, None]
    assert source.asked == [["a"], ["a", "b", "missing"]]


async def test_a_failure_is_everybodys_who_waits_and_nobody_elses():
    source, coalesced = Source(), Coalesced[str, int](most=2)
    tasks = [asyncio.create_task(coalesced.get(key, source.load)) for key in ("bad", "a", "b")]
    source.gate.release()
    source.gate.release()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ZeroDivisionError, ZeroDivisionError, int]


async def test_who_leaves_disturbs_nobody():
    source, coalesced = Source(), Coalesced[str, int]()
    leaving = asyncio.create_task(coalesced.get("a", source.load))
    staying = asyncio.create_task(coalesced.get("a", source.load))
    await source.begun.acquire()
    leaving.cancel()
    source.gate.release()
    assert await staying == 0
    with pytest.raises(asyncio.CancelledError):
        await leaving
