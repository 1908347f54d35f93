"""Tell an unreachable database or storage, which passes, from a fault, which does not; and wait until it has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError as StorageError
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from app.integrations.outage import Outage


class Unreachable(Exception):
    """A part that the work needs is down or out of reach: to be tried again."""


def _passes(error: Exception) -> bool:
    if isinstance(error, DBAPIError):
        # A server that is being shut down ends its sessions with an error of no particular kind.
        return isinstance(error, OperationalError | InterfaceError) or error.connection_invalidated
    return isinstance(error, PoolTimeoutError | StorageError | OSError | TimeoutError)


@contextmanager
def reaching(outage: Outage) -> Iterator[None]:
    """Mark a step that needs an outside part.

    Raises:
        Unreachable: the part is in trouble; the outage's beginning and end are logged once each.
    """
    try:
        yield
    except Exception as error:
        if not _passes(error):
            raise
        outage.failed(error)
        raise Unreachable from error
    outage.passed()


async def pause(stop: asyncio.Event, pause_s: float) -> None:
    """Wait that long, or until ``stop``."""
    try:
        async with asyncio.timeout(pause_s):
            await stop.wait()
    except TimeoutError:
        return
