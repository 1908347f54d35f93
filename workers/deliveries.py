"""Webhooks are sent here: taken up in the database, posted all at the same time, recorded in the database.

One loop owns the database side, so that a hundred attempts cost one transaction. No endpoint waits for another: each has its
own connections and a bounded number of requests under way, and one that failed last time only gets a probe or two.
"""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import Sequence

import httpx2
import structlog

from app.domain.webhooks import RETRY_DELAYS_S, SEND_TIMEOUT_S
from app.integrations.addresses import GuardedTransport
from app.integrations.outage import Outage
from app.integrations.webhooks import send
from app.resources import Resources
from app.services.deliveries import Outcome, Parcel, endpoints_with_due, record_outcomes, take_due
from workers.trouble import Unreachable, reaching

log = structlog.get_logger(__name__)

_SLOTS = 8
_PROBES = 2
# When nothing is due, look again after this long.
_IDLE_S = 0.5
# While requests are under way, so many seconds of answers are recorded together.
_TICK_S = 0.02

_Lane = tuple[uuid.UUID, str]


class Postman:
    """Sends what is due until told to stop. ``delays_s`` is the retry schedule, ``timeout_s`` the longest an attempt takes."""

    def __init__(
        self, parts: Resources, *, delays_s: Sequence[float] = RETRY_DELAYS_S, timeout_s: float = SEND_TIMEOUT_S
    ) -> None:
        self._store, self._intranet = parts.store, parts.intranet
        self._delays_s, self._timeout_s = delays_s, timeout_s
        # To make one takes longer than a request.
        self._tls = httpx2.create_ssl_context()
        self._transports: dict[_Lane, GuardedTransport] = {}
        self._under_way: dict[asyncio.Task[Outcome], _Lane] = {}
        self._unrecorded: list[Outcome] = []

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; what is under way then is waited for, which takes no longer than one attempt."""
        outage = Outage("database (webhooks)")
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                await self._guarded_round(outage, taking=True)
                await self._rest(stopping)
            while self._under_way or self._unrecorded:
                await self._rest(None)
                if not await self._guarded_round(outage, taking=False):
                    break  # they count as not sent, and will be sent again
        finally:
            stopping.cancel()
            await self._close()

    async def _guarded_round(self, outage: Outage, *, taking: bool) -> bool:
        """One round, whatever happens; False if it could not be done."""
        try:
            with reaching(outage):
                await self._round(taking=taking)
        except Unreachable:
            return False
        except Exception:  # a fault in one round must not end all webhooks
            log.exception("a round of webhooks failed")
            return False
        return True

    async def _round(self, *, taking: bool) -> None:
        """Record what has come back, take up what is due, send it."""
        self._collect()
        parcels: list[Parcel] = []
        if self._unrecorded or (taking and await self._anything_due()):
            outcomes = list(self._unrecorded)
            async with self._store.writing() as uow:
                if outcomes:
                    await record_outcomes(uow, outcomes, delays_s=self._delays_s)
                if taking:
                    busy = Counter(endpoint_id for endpoint_id, _ in self._under_way.values())
                    parcels = await take_due(uow, busy, slots=_SLOTS, probes=_PROBES)
            del self._unrecorded[: len(outcomes)]
        for parcel in parcels:
            self._start(parcel)
        await self._close_idle()

    async def _anything_due(self) -> bool:
        busy = Counter(endpoint_id for endpoint_id, _ in self._under_way.values())
        async with self._store.reading() as uow:
            return any(busy[endpoint_id] < _SLOTS for endpoint_id in await endpoints_with_due(uow))

    def _collect(self) -> None:
        for task in [task for task in self._under_way if task.done()]:
            del self._under_way[task]
            self._unrecorded.append(task.result())

    def _start(self, parcel: Parcel) -> None:
        lane = (parcel.endpoint_id, httpx2.URL(parcel.message.url).host)
        if lane not in self._transports:
            self._transports[lane] = GuardedTransport(self._intranet, tls=self._tls, kept_connections=_SLOTS)
        task = asyncio.create_task(self._send(self._transports[lane], parcel))
        self._under_way[task] = lane

    async def _send(self, transport: GuardedTransport, parcel: Parcel) -> Outcome:
        return Outcome(parcel, await send(transport, parcel.message, timeout_s=self._timeout_s))

    async def _rest(self, stopping: asyncio.Task[bool] | None) -> None:
        """Until an answer has come, or it is time to look for new work."""
        awaited: set[asyncio.Task[Outcome] | asyncio.Task[bool]] = {*self._under_way}
        if stopping is not None:
            awaited.add(stopping)
        if awaited:
            done, _ = await asyncio.wait(awaited, timeout=_IDLE_S, return_when=asyncio.FIRST_COMPLETED)
            if done and stopping not in done:
                await asyncio.sleep(_TICK_S)

    async def _close_idle(self) -> None:
        busy = set(self._under_way.values())
        for lane in [lane for lane in self._transports if lane not in busy]:
            await self._transports.pop(lane).aclose()

    async def _close(self) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)
        for transport in self._transports.values():
            await transport.aclose()
