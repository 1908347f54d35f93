"""Outages: which errors are none of ours and pass, and a log of when they begin and end, not of every call that meets them."""

from __future__ import annotations

import time

import structlog
from obstore.exceptions import BaseError as StorageError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

log = structlog.get_logger(__name__)

# Of PostgreSQL's errors (appendix A of its manual) those that pass: lost connections, conflicts with other transactions, too
# few resources, a server that is being stopped or has just been started, and trouble of its machine.
_PASSING_CLASSES = frozenset({"08", "40", "53", "57", "58"})


def is_outage(error: BaseException) -> bool:
    """Does the error say that database or storage are out of reach for now? Then the same step may work later."""
    if isinstance(error, DBAPIError):
        if isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated:
            return True
        return str(getattr(error.orig, "sqlstate", None) or "")[:2] in _PASSING_CLASSES
    if isinstance(error, OSError) and not isinstance(error, ConnectionError | TimeoutError):
        return error.errno is not None and error.filename is None  # a socket, not a file of ours
    return isinstance(error, PoolTimeoutError | StorageError | ConnectionError | TimeoutError)


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
