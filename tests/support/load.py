"""A running load: programs that upload, and like good programs try again, with the same Idempotency-Key, until they are told."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from itertools import count

import httpx

_TRY_AGAIN_AFTER_S = 0.2
# What a caller shall try again, as docs/api.md has it.
_PASSING = (429, 503)


def restful(number: int, rest_s: float = 0.3) -> bytes:
    """An upload that keeps the stand-in worker busy that long."""
    return b"ID3 number %d\n" % number + json.dumps({"do": "rest", "path": None, "rest_s": rest_s}).encode()


class Load:
    """So many uploads from a few senders. ``accepted`` holds the id of each job that was promised.

    Args:
        bases: addresses of web processes; a sender who finds one closed goes to the next.
        content: what upload number n consists of.
    """

    def __init__(
        self,
        bases: Sequence[str],
        key: str,
        *,
        content: Callable[[int], bytes],
        senders: int = 8,
    ) -> None:
        self.accepted: dict[int, uuid.UUID] = {}
        self.answers: Counter[int | str] = Counter()
        self._news = asyncio.Event()
        self._bases, self._content, self._senders = list(bases), content, senders
        self._kept_alive = True
        self._sending: asyncio.Task[None] | None = None
        self._headers = {"authorization": f"Bearer {key}", "content-type": "audio/mpeg"}

    def go_to(self, bases: Sequence[str], *, kept_alive: bool) -> None:
        """From the next load on, send to these."""
        self._bases, self._kept_alive = list(bases), kept_alive

    def begin(self, uploads: int, *, per_s: float = 20) -> None:
        """Send so many more, of which at most ``per_s`` are begun each second."""
        self._sending = asyncio.create_task(self._send(uploads, per_s), name="load")

    async def until_accepted(self, uploads: int) -> None:
        """Until so many have been accepted."""
        await self._until(lambda: len(self.accepted) >= uploads)

    async def until_answered(self, status: int, times: int) -> None:
        """Until so many requests got this answer."""
        await self._until(lambda: self.answers[status] >= times)

    async def _until(self, reached: Callable[[], bool]) -> None:
        while not reached():
            self._news.clear()
            waiting = asyncio.create_task(self._news.wait())
            await asyncio.wait({waiting, self._running}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            if self._running.done():
                await self._running
                assert reached(), self.answers

    async def end(self) -> None:
        """Until all have been accepted."""
        await self._running

    def stop(self) -> None:
        if self._sending is not None:
            self._sending.cancel()

    @property
    def _running(self) -> asyncio.Task[None]:
        assert self._sending is not None
        return self._sending

    async def _send(self, uploads: int, per_s: float) -> None:
        numbers = iter(range(len(self.accepted), len(self.accepted) + uploads))
        limits = httpx.Limits(max_connections=self._senders, max_keepalive_connections=None if self._kept_alive else 0)
        async with (
            httpx.AsyncClient(headers=self._headers, timeout=60, limits=limits) as client,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(self._senders):
                group.create_task(self._send_from(numbers, client, every_s=self._senders / per_s))

    async def _send_from(self, numbers: Iterator[int], client: httpx.AsyncClient, *, every_s: float) -> None:
        loop = asyncio.get_running_loop()
        for number in numbers:
            due_s = loop.time() + every_s
            await self._submit(number, client)
            await asyncio.sleep(due_s - loop.time())

    async def _submit(self, number: int, client: httpx.AsyncClient) -> None:
        for attempt in count(number):
            answer = await self._try(number, self._bases[attempt % len(self._bases)], client)
            if answer is not None:
                self.accepted[number] = uuid.UUID(answer["id"])
                self._news.set()
                return

    async def _try(self, number: int, base: str, client: httpx.AsyncClient) -> dict[str, str] | None:
        """The job, or None if there is reason to try again."""
        try:
            answer = await client.post(
                f"{base}/api/v1/jobs",
                params={"name": f"{number}.mp3", "force": "true"},
                content=self._content(number),
                headers={"idempotency-key": f"upload-{number}"},
            )
        except httpx.ConnectError:
            self.answers["closed"] += 1  # the next one may be open
            await asyncio.sleep(_TRY_AGAIN_AFTER_S / len(self._bases))
            return None
        except httpx.TransportError as error:
            self.answers[type(error).__name__] += 1
            await asyncio.sleep(_TRY_AGAIN_AFTER_S)
            return None
        self.answers[answer.status_code] += 1
        self._news.set()
        if answer.status_code in _PASSING:
            await asyncio.sleep(_TRY_AGAIN_AFTER_S)
            return None
        assert answer.status_code in (200, 202), answer.text
        return answer.json()
