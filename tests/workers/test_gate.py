"""The gate: many together, or one alone."""

from __future__ import annotations

import asyncio

from workers.gate import Gate


async def test_many_pass_together():
    gate = Gate()
    async with asyncio.timeout(5), gate.together(), gate.together():
        pass


async def test_one_alone_waits_for_the_others_and_holds_later_ones_back():
    gate = Gate()
    order: list[str] = []
    inside = asyncio.Event()

    async def alone(name: str) -> None:
        async with gate.alone():
            order.append(f"{name} in")
            inside.set()
            await asyncio.sleep(0)
            order.append(f"{name} out")

    async def together(name: str) -> None:
        async with gate.together():
            order.append(name)

    async with asyncio.timeout(5):
        async with gate.together():
            tasks = [asyncio.create_task(alone("first")), asyncio.create_task(alone("second"))]
            await asyncio.sleep(0)
            tasks.append(asyncio.create_task(together("late")))
            await asyncio.sleep(0)
            assert not inside.is_set()
            order.append("earlier")
        await asyncio.gather(*tasks)
    assert order == ["earlier", "first in", "first out", "second in", "second out", "late"]


async def test_who_is_cancelled_while_waiting_blocks_nobody():
    gate = Gate()
    async with asyncio.timeout(5):
        async with gate.together():
            waiting = asyncio.create_task(gate.alone().__aenter__())
            await asyncio.sleep(0)
            waiting.cancel()
            await asyncio.wait({waiting})
            async with gate.together():
                pass
        async with gate.alone():
            pass
