"""One job as JSON, the busiest call of all: many callers share a query, and its answers hold until the database changes."""

from __future__ import annotations

import uuid
from collections.abc import Collection

import msgspec

from app.db.uow import Store
from app.domain.permissions import Principal
from app.services import jobs
from app.services.coalescing import Coalesced

_MOST_KEPT = 1_000
_encoder = msgspec.json.Encoder()

_Wanted = tuple[Principal, uuid.UUID]


class JobReads:
    """Answers are never older than the question: what was kept is taken only if nobody has committed anything since."""

    def __init__(self) -> None:
        self._asked: Coalesced[_Wanted, bytes] = Coalesced()
        self._kept: dict[_Wanted, bytes] = {}
        self._version: int | None = None

    async def get(self, store: Store, caller: Principal, job_id: uuid.UUID) -> bytes | None:
        """None: there is no such job, or none that this caller may see."""

        async def read(asked: Collection[_Wanted]) -> dict[_Wanted, bytes]:
            return await self._read(store, asked)

        return await self._asked.get((caller, job_id), read)

    async def _read(self, store: Store, asked: Collection[_Wanted]) -> dict[_Wanted, bytes]:
        version = store.database.version()
        if version is None or version != self._version or len(self._kept) > _MOST_KEPT:
            self._kept, self._version = {}, version
        if missing := [wanted for wanted in asked if wanted not in self._kept]:
            self._kept |= await _query(store, missing)
        return {wanted: self._kept[wanted] for wanted in asked if wanted in self._kept}


async def _query(store: Store, wanted: Collection[_Wanted]) -> dict[_Wanted, bytes]:
    async with store.uncut_reading() as uow:
        found = await jobs.get_jobs(uow, wanted)
    return {key: _encoder.encode(job) for key, job in found.items()}
