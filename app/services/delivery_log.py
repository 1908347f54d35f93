"""What was sent to an endpoint and what came back, and sending it again."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec
from sqlalchemy import Select, delete, exists, func, insert, select, update
from sqlalchemy.orm import aliased

from app.db.models import Event, JobCallback, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from app.db.repositories import webhooks as repository
from app.db.uow import UnitOfWork
from app.domain.ids import first_id_of, utc_now
from app.domain.permissions import Principal
from app.domain.webhook_views import AttemptOut, DeliveryDetail, DeliveryOut, DeliveryPage
from app.domain.webhooks import KEPT_BODY_BYTES, DeliveryState
from app.errors import DeliveryNotFound, WebhookDisabled
from app.services import audit
from app.services.deliveries import LEASE_S
from app.services.webhooks import find_endpoint

PAGE_LIMIT = 100
REDELIVERY_LIMIT = 10_000

_DELIVERIES_KEPT = timedelta(days=30)
_EVENTS_KEPT = timedelta(days=90)
_DELETED_AT_ONCE = 5000
_UNSYNCHRONISED = {"synchronize_session": False}


# --- look


def _view(delivery: WebhookDelivery, endpoint: WebhookEndpoint) -> DeliveryOut:
    event, ended = delivery.event, delivery.state is not DeliveryState.PENDING
    return DeliveryOut(
        id=delivery.id,
        event_id=event.id,
        event_type=event.type,
        job_id=event.job_id,
        batch_id=event.batch_id,
        url=delivery.url or endpoint.url,
        state=delivery.state,
        attempts=delivery.attempts,
        redelivery=delivery.redelivery,
        created_at=delivery.created_at,
        next_attempt_at=None if ended else delivery.due_at,
        finished_at=delivery.finished_at,
    )


def _attempt_view(attempt: WebhookAttempt) -> AttemptOut:
    return AttemptOut(
        number=attempt.number,
        sent_at=attempt.sent_at,
        duration_ms=attempt.duration_ms,
        status=attempt.status,
        error=attempt.error,
        request_headers=attempt.request_headers,
        response_headers=attempt.response_headers,
        response_body=attempt.response_body,
    )


async def list_deliveries(
    uow: UnitOfWork,
    principal: Principal,
    endpoint_id: uuid.UUID,
    *,
    state: DeliveryState | None = None,
    cursor: uuid.UUID | None = None,
    limit: int = 50,
) -> DeliveryPage:
    """Newest first."""
    endpoint = await find_endpoint(uow, principal, endpoint_id)
    limit = max(1, min(limit, PAGE_LIMIT))
    query = repository.log_of(endpoint_id).order_by(WebhookDelivery.id.desc()).limit(limit + 1)
    if state is not None:
        query = query.where(WebhookDelivery.state == state)
    if cursor is not None:
        query = query.where(WebhookDelivery.id < cursor)
    found = (await uow.session.scalars(query)).all()
    items = [_view(delivery, endpoint) for delivery in found[:limit]]
    return DeliveryPage(items=items, next_cursor=str(items[-1].id) if len(found) > limit else None)


async def _find(uow: UnitOfWork, endpoint_id: uuid.UUID, delivery_id: uuid.UUID) -> WebhookDelivery:
    query = repository.log_of(endpoint_id).where(WebhookDelivery.id == delivery_id)
    delivery = (await uow.session.scalars(query.execution_options(populate_existing=True))).one_or_none()
    if delivery is None:
        raise DeliveryNotFound
    return delivery


async def get_delivery(
    uow: UnitOfWork, principal: Principal, endpoint_id: uuid.UUID, delivery_id: uuid.UUID
) -> DeliveryDetail:
    """With its attempts.

    Raises:
        WebhookNotFound, DeliveryNotFound
    """
    endpoint = await find_endpoint(uow, principal, endpoint_id)
    delivery = await _find(uow, endpoint_id, delivery_id)
    attempts = await repository.attempts_of(uow.session, delivery_id)
    body = (delivery.event.payload or "").encode()[:KEPT_BODY_BYTES].decode("utf-8", "ignore")
    return DeliveryDetail(
        **msgspec.structs.asdict(_view(delivery, endpoint)),
        request_body=body,
        log=[_attempt_view(attempt) for attempt in attempts],
    )


# --- send again


async def redeliver(
    uow: UnitOfWork, principal: Principal, endpoint_id: uuid.UUID, delivery_id: uuid.UUID
) -> DeliveryOut:
    """Send one again: what waits for its next attempt has it now, what has ended gets a delivery of its own.

    Raises:
        WebhookNotFound, DeliveryNotFound
        WebhookDisabled: nothing is sent to this endpoint.
    """
    endpoint = await _enabled(uow, principal, endpoint_id)
    delivery = await _find(uow, endpoint_id, delivery_id)
    if delivery.state is DeliveryState.PENDING:
        await _hurry(uow, [delivery.id])
        return _view(await _find(uow, endpoint_id, delivery_id), endpoint)
    again = WebhookDelivery(endpoint_id=endpoint_id, event_id=delivery.event_id, url=delivery.url, redelivery=True)
    uow.session.add(again)
    await uow.session.flush()
    _record(uow, principal, endpoint, count=1)
    return _view(await _find(uow, endpoint_id, again.id), endpoint)


async def redeliver_since(
    uow: UnitOfWork, principal: Principal, endpoint_id: uuid.UUID, since: datetime, *, include_delivered: bool
) -> int:
    """Send again what was created since then and has not arrived (or all of it), each event once; returns how many."""
    endpoint = await _enabled(uow, principal, endpoint_id)
    log = repository.log_of(endpoint_id).where(WebhookDelivery.created_at >= since)
    pending = select(log.where(WebhookDelivery.state == DeliveryState.PENDING).limit(REDELIVERY_LIMIT).subquery().c.id)
    hurried = await _hurry(uow, (await uow.session.scalars(pending)).all())
    rows = (await uow.session.execute(_ended(endpoint_id, since, include_delivered=include_delivered))).all()
    again = [{"endpoint_id": endpoint_id, "event_id": row.event_id, "url": row.url, "redelivery": True} for row in rows]
    if again:
        await uow.session.execute(insert(WebhookDelivery), again)
    _record(uow, principal, endpoint, since=since.isoformat(), count=hurried + len(again))
    return hurried + len(again)


def _ended(endpoint_id: uuid.UUID, since: datetime, *, include_delivered: bool) -> Select[uuid.UUID, str | None]:
    """The events since then of which nothing is on its way to the endpoint (and that have not arrived)."""
    other = aliased(WebhookDelivery)
    settled = [DeliveryState.PENDING] if include_delivered else [DeliveryState.PENDING, DeliveryState.DELIVERED]
    enough = exists().where(
        other.endpoint_id == endpoint_id, other.event_id == WebhookDelivery.event_id, other.state.in_(settled)
    )
    return (
        select(WebhookDelivery.event_id, func.min(WebhookDelivery.url).label("url"))
        .where(WebhookDelivery.endpoint_id == endpoint_id, WebhookDelivery.created_at >= since, ~enough)
        .group_by(WebhookDelivery.event_id)
        .order_by(WebhookDelivery.event_id)
        .limit(REDELIVERY_LIMIT)
    )


async def _hurry(uow: UnitOfWork, delivery_ids: Sequence[uuid.UUID]) -> int:
    """Make waiting ones due now; those that may be out at this moment come back by themselves within seconds."""
    now = utc_now()
    statement = (
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_(delivery_ids), WebhookDelivery.state == DeliveryState.PENDING)
        .where(WebhookDelivery.due_at > now + timedelta(seconds=LEASE_S))
        .values(due_at=now)
        .returning(WebhookDelivery.id)
    )
    return len((await uow.session.scalars(statement, execution_options=_UNSYNCHRONISED)).all())


async def _enabled(uow: UnitOfWork, principal: Principal, endpoint_id: uuid.UUID) -> WebhookEndpoint:
    endpoint = await find_endpoint(uow, principal, endpoint_id)
    if endpoint.disabled_at is not None:
        raise WebhookDisabled
    return endpoint


def _record(uow: UnitOfWork, principal: Principal, endpoint: WebhookEndpoint, **details: object) -> None:
    audit.record(
        uow, principal, "webhook.redeliver", target_type="webhook", target_id=endpoint.id, details=dict(details)
    )


# --- forget


async def forget_old(uow: UnitOfWork) -> int:
    """Delete deliveries and events whose time is over, a part at a time, and lanes of callbacks that nothing uses; returns
    how many deliveries and events went."""
    now = utc_now()
    gone = 0
    for table, lifetime in ((WebhookDelivery, _DELIVERIES_KEPT), (Event, _EVENTS_KEPT)):
        old = select(table.id).where(table.id < first_id_of(now - lifetime)).limit(_DELETED_AT_ONCE)
        statement = delete(table).where(table.id.in_(old)).returning(table.id)
        gone += len((await uow.session.scalars(statement, execution_options=_UNSYNCHRONISED)).all())
    used = [exists().where(table.endpoint_id == WebhookEndpoint.id) for table in (WebhookDelivery, JobCallback)]
    unused = delete(WebhookEndpoint).where(
        WebhookEndpoint.one_off, WebhookEndpoint.created_at < now - _DELIVERIES_KEPT, *(~use for use in used)
    )
    await uow.session.execute(unused, execution_options=_UNSYNCHRONISED)
    return gone
