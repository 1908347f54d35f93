"""The feed of events: for systems that would rather ask than be called.

An id can't be the cursor: it is made before the commit, so an event can appear behind one that has been read already. Instead
each event is given a number after its commit, when somebody asks, under the lock of one row: whoever has read up to a number
has missed nothing before it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import cast

import msgspec
from sqlalchemy import ColumnElement, or_, select, true, update

from app.db.models import Batch, Event, EventCounter
from app.db.repositories.jobs import owned_by
from app.db.uow import Store, UnitOfWork
from app.domain.jobs import EventType
from app.domain.permissions import Permission, Principal
from app.domain.views import JobOut
from app.domain.webhook_views import BatchEnd, EventOut, EventPage
from app.domain.webhooks import PUBLISHED

FEED_LIMIT = 500

_COUNTER = EventCounter.id == 1
_NUMBERED_AT_ONCE = 2000
_MOST_ROUNDS = 5


async def read_feed(
    store: Store, principal: Principal, *, after: int, types: Collection[EventType], limit: int
) -> EventPage:
    """The events behind the cursor ``after``, of these types (none: of all), as far as the caller may see them."""
    numbered_all = await _number_new(store)
    wanted = PUBLISHED.intersection(types) if types else PUBLISHED
    async with store.reading() as uow:
        last = await uow.session.scalar(select(EventCounter.last).where(_COUNTER)) or 0
        query = (
            select(Event)
            .where(Event.sequence > after, Event.sequence <= last, Event.payload.is_not(None))
            .where(Event.type.in_(wanted), _visible_to(principal))
            .order_by(Event.sequence)
            .limit(limit + 1)
        )
        events = (await uow.session.scalars(query)).all()
    more = len(events) > limit
    items = [_event_out(event) for event in events[:limit]]
    cursor = events[limit - 1].sequence if more else max(last, after)
    return EventPage(items=items, next_cursor=str(cursor), has_more=more or not numbered_all)


def _event_out(event: Event) -> EventOut:
    """As it was told then: an old event may lack what was added since, so it is passed on without being read."""
    data = msgspec.json.decode(event.payload or "{}")["data"]
    is_batch = event.type is EventType.BATCH_DONE
    return EventOut(
        id=event.id,
        type=event.type,
        timestamp=event.created_at,
        job=None if is_batch else cast("JobOut", data),
        batch=cast("BatchEnd", data) if is_batch else None,
    )


def _visible_to(principal: Principal) -> ColumnElement[bool]:
    if principal.may(Permission.BATCHES_SEE_PRIVATE):
        return true()
    return or_(Event.private.is_(False), Event.batch_id.in_(select(Batch.id).where(owned_by(principal))))


async def _number_new(store: Store) -> bool:
    """Number what has been committed; False if there is so much that some is left for the next time."""
    for _ in range(_MOST_ROUNDS):
        async with store.reading() as uow:
            news = select(Event.id).where(Event.sequence.is_(None)).limit(1)
            if await uow.session.scalar(news) is None:
                return True
        async with store.writing() as uow:
            await _number(uow)
    return False


async def _number(uow: UnitOfWork) -> None:
    hold = update(EventCounter).where(_COUNTER).values(last=EventCounter.last).returning(EventCounter.last)
    last = (await uow.session.scalars(hold)).one()
    query = select(Event.id).where(Event.sequence.is_(None)).order_by(Event.id).limit(_NUMBERED_AT_ONCE)
    new = (await uow.session.scalars(query)).all()
    if new:
        numbers = [{"id": event_id, "sequence": last + place} for place, event_id in enumerate(new, start=1)]
        await uow.session.execute(update(Event), numbers)
        await uow.session.execute(update(EventCounter).where(_COUNTER).values(last=last + len(new)))
