"""Many callers, one query: what is asked for while a query is under way is answered by the next one, all at once.

Nothing is remembered: every answer was read after it was asked for. An idle server asks at once, a busy one asks seldom.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Hashable, Mapping
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
Load = Callable[[Collection[K]], Awaitable[Mapping[K, V]]]


class Coalesced(Generic[K, V]):
    """Answers by key; None for a key that the query has not found. What the query raises, all of its callers get."""

    def __init__(self, *, most: int = 100) -> None:
        self._most = most
        self._waiting: dict[K, list[asyncio.Future[V | None]]] = {}
        self._running: asyncio.Task[None] | None = None

    async def get(self, key: K, load: Load[K, V]) -> V | None:
        """``load`` is asked for many keys; of the callers that wait, the newest one's is used."""
        answer: asyncio.Future[V | None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(key, []).append(answer)
        if self._running is None:
            self._running = asyncio.create_task(self._run(load), name="coalesced")
        return await answer

    async def _run(self, load: Load[K, V]) -> None:
        while self._waiting:
            keys = list(self._waiting)[: self._most]
            answers = {key: self._waiting.pop(key) for key in keys}
            try:
                found = await load(keys)
            except Exception as error:  # noqa: BLE001  whoever asked gets it
                _settle(answers, lambda answer, _, error=error: answer.set_exception(error))  # type: ignore[misc]
            else:
                _settle(answers, lambda answer, key, found=found: answer.set_result(found.get(key)))  # type: ignore[misc]
        self._running = None


def _settle(
    answers: Mapping[K, list[asyncio.Future[V | None]]], give: Callable[[asyncio.Future[V | None], K], None]
) -> None:
    for key, waiting in answers.items():
        for answer in waiting:
            if not answer.done():  # whoever left has cancelled it
                give(answer, key)
