"""A stand-in for queue and progress that remembers what was rung for."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field

from app.db.uow import Wakeup


@dataclass
class RecordingOutside:
    wakeups: list[Wakeup] = field(default_factory=list)
    changed_jobs: list[uuid.UUID] = field(default_factory=list)

    async def wake(self, wakeups: list[Wakeup]) -> None:
        self.wakeups.extend(wakeups)

    async def tell(self, changed_jobs: list[uuid.UUID]) -> None:
        self.changed_jobs.extend(changed_jobs)
