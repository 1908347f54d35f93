"""Notice that the machine's clock was set back, which a database full of moments does not forgive by itself."""

from __future__ import annotations

import time

import structlog

from app.domain.ids import utc_now
from app.resources import Resources
from app.services.clock import forget_the_future

log = structlog.get_logger(__name__)

# Less than that is what keeping a clock right is like.
_STEP_S = 2.0


class ClockWatch:
    """Compares the clock with one that nobody sets."""

    def __init__(self) -> None:
        self._ahead_s: float | None = None

    async def look(self, parts: Resources) -> None:
        """A chore: at the start, and whenever the clock was set back, mend what lies in the future."""
        ahead_s = utc_now().timestamp() - time.monotonic()
        if self._ahead_s is None or ahead_s < self._ahead_s - _STEP_S:
            if self._ahead_s is not None:
                log.warning("the clock was set back", by_s=round(self._ahead_s - ahead_s))
            async with parts.store.writing() as uow:
                await forget_the_future(uow)
        self._ahead_s = ahead_s
