"""Log an outage when it begins and when it ends, not at every call that meets it."""

from __future__ import annotations

import time

import structlog

log = structlog.get_logger(__name__)


class Outage:
    """The state of one dependency, named ``part`` in the log."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._since_s: float | None = None

    @property
    def lasts(self) -> bool:
        return self._since_s is not None

    def failed(self, error: BaseException) -> None:
        if self._since_s is None:
            self._since_s = time.monotonic()
            log.warning("unreachable", part=self._part, error=f"{type(error).__name__}: {error}"[:300])

    def passed(self) -> None:
        if self._since_s is not None:
            log.info("reachable again", part=self._part, after_s=round(time.monotonic() - self._since_s, 1))
            self._since_s = None
