"""Tell an unreachable database or storage, which passes, from a fault, which does not; and wait until it has."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from app.integrations.outage import Outage, is_outage


class Unreachable(Exception):
    """A part that the work needs is down or out of reach: to be tried again."""


@contextmanager
def reaching(outage: Outage) -> Iterator[None]:
    """Mark a step that needs an outside part.

    Raises:
        Unreachable: the part is in trouble; the outage's beginning and end are logged once each.
    """
    try:
        yield
    except Exception as error:
        if not (is_outage(error) or isinstance(error, OSError)):
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
