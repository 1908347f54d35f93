"""Who goes first, and that nobody waits for ever."""

from __future__ import annotations

import asyncio

import pytest

from app.inference.lanes import URGENT_TURNS, Lanes, Slots


def taken(lanes: Lanes[str]) -> list[str]:
    found = []
    while (item := lanes.take()) is not None:
        found.append(item)
    return found


def test_urgent_ones_pass_and_each_lane_keeps_its_order():
    lanes: Lanes[str] = Lanes()
    lanes.add(["b1", "b2"], urgent=False)
    lanes.add(["u1", "u2"], urgent=True)
    assert len(lanes) == 4
    assert taken(lanes) == ["u1", "u2", "b1", "b2"]
    assert lanes.take() is None


def test_bulk_gets_a_turn_now_and_then():
    lanes: Lanes[str] = Lanes()
    lanes.add(["b1", "b2"], urgent=False)
    lanes.add([f"u{number}" for number in range(3 * URGENT_TURNS)], urgent=True)
    order = taken(lanes)
    assert [order.index("b1"), order.index("b2")] == [URGENT_TURNS, 2 * URGENT_TURNS + 1]


def test_urgent_turns_without_bulk_are_not_held_against_later_ones():
    lanes: Lanes[str] = Lanes()
    lanes.add(["u"] * 20, urgent=True)
    assert taken(lanes) == ["u"] * 20
    lanes.add(["b"], urgent=False)
    lanes.add(["u"], urgent=True)
    assert taken(lanes) == ["u", "b"]


class Visitors:
    """Tasks that go through the slots and stay inside until they are let out."""

    def __init__(self, slots: Slots) -> None:
        self._slots = slots
        self._out: dict[str, asyncio.Event] = {}
        self.inside: list[str] = []
        self.tasks: dict[str, asyncio.Task[None]] = {}

    async def come(self, name: str, *, urgent: bool = False) -> None:
        self._out[name] = asyncio.Event()
        self.tasks[name] = asyncio.create_task(self._visit(name, urgent=urgent))
        await settled()

    async def _visit(self, name: str, *, urgent: bool) -> None:
        async with self._slots.one(urgent=urgent):
            self.inside.append(name)
            try:
                await self._out[name].wait()
            finally:
                self.inside.remove(name)

    def let_out(self, name: str) -> None:
        self._out[name].set()

    async def leave(self, name: str) -> None:
        self.let_out(name)
        await self.tasks[name]
        await settled()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_places_go_to_the_urgent_first_and_are_never_more():
    visitors = Visitors(Slots(2))
    for name in ("a", "b", "c", "d"):
        await visitors.come(name)
    await visitors.come("urgent", urgent=True)
    assert visitors.inside == ["a", "b"]
    await visitors.leave("a")
    assert visitors.inside == ["b", "urgent"]
    for name in ("urgent", "b", "c", "d"):
        await visitors.leave(name)
        assert len(visitors.inside) <= 2
    assert visitors.inside == []


async def test_who_gives_up_waiting_loses_nobody_a_place():
    visitors = Visitors(Slots(1))
    for name in ("a", "b", "c"):
        await visitors.come(name)
    visitors.tasks["b"].cancel()
    await visitors.leave("a")
    assert visitors.inside == ["c"]
    await visitors.leave("c")
    await visitors.come("d")
    assert visitors.inside == ["d"]
    await visitors.leave("d")
    with pytest.raises(asyncio.CancelledError):
        await visitors.tasks["b"]


async def test_who_gives_up_in_the_moment_of_entering_passes_the_place_on():
    visitors = Visitors(Slots(1))
    for name in ("a", "b", "c"):
        await visitors.come(name)
    visitors.let_out("a")
    await asyncio.sleep(0)  # b's turn has come, but b has not run since
    visitors.tasks["b"].cancel()
    await settled()
    assert visitors.inside == ["c"]
    await visitors.leave("c")
