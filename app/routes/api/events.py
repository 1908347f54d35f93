"""The feed of events over the API."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable
from typing import Annotated

from anyio import CancelScope
from litestar import get
from litestar.params import QueryParameter

from app.domain.jobs import EventType
from app.domain.permissions import Permission
from app.domain.webhook_views import EventPage
from app.errors import CursorInvalid
from app.routes.deps import Caller, Parts
from app.routes.events import LOOK_AGAIN_S
from app.routes.guards import needs
from app.routes.openapi import problems
from app.services.event_feed import FEED_LIMIT, read_feed

_LONGEST_WAIT_S = 30
# Where jobs change all the time, so much time passes between two looks.
_GATHER_S = 0.1
# Places in the feed are counted in 64 bits.
_CURSOR_DIGITS = 18


def _place(after: str | None) -> int:
    if after is None:
        return 0
    if not (after.isascii() and after.isdigit() and len(after) <= _CURSOR_DIGITS):
        raise CursorInvalid
    return int(after)


@get(
    "/events",
    opt=needs(Permission.JOBS_READ),
    operation_id="listEvents",
    summary="Read the feed of events",
    tags=["webhooks"],
    responses=problems(400),
)
async def list_events(
    parts: Parts,
    caller: Caller,
    *,
    after: Annotated[
        str | None, QueryParameter(description="`next_cursor` of the answer before; none: the oldest")
    ] = None,
    types: Annotated[
        list[EventType] | None,
        QueryParameter(name="type", max_items=20, description="Only events of this type; may be given several times"),
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=FEED_LIMIT, description="Events in an answer")] = 100,
    wait: Annotated[
        int, QueryParameter(ge=0, le=_LONGEST_WAIT_S, description="If there is none yet, wait so many seconds for one")
    ] = 0,
) -> EventPage:
    """For systems that can't receive webhooks: the same events, in an order in which nothing is inserted later, for 90 days.
    Keep `next_cursor` and give it as `after`: each event comes exactly once. Jobs are without their windows."""
    place, ends_at = _place(after), time.monotonic() + wait
    with parts.progress.subscribe() as subscription:
        while True:
            page = await _uncut(read_feed(parts.store, caller, after=place, types=types or [], limit=limit))
            left_s = ends_at - time.monotonic()
            if page.items or page.has_more or left_s <= 0:
                return page
            place = int(page.next_cursor)
            await subscription.wait(min(LOOK_AGAIN_S, left_s))
            await asyncio.sleep(_GATHER_S)


async def _uncut(reading: Awaitable[EventPage]) -> EventPage:
    """A reader who leaves cancels the request, but a query cut off would leave its connection open."""
    with CancelScope(shield=True):
        page = await reading
    return page  # noqa: RET504  by its type a scope might swallow an exception


HANDLERS = [list_events]
