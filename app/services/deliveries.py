"""Deliveries of events to webhooks: written with the event, taken up, sent elsewhere, and what became of them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import insert, select, update

from app.db.models import (
    ApiKey,
    Batch,
    Event,
    WebhookAttempt,
    WebhookDelivery,
    WebhookEndpoint,
)
from app.db.repositories import webhooks as repository
from app.db.uow import UnitOfWork
from app.db.vault import SealBroken, Vault
from app.domain.ids import utc_now
from app.domain.permissions import Permission, Principal
from app.domain.tokens import WEBHOOK_MARK
from app.domain.webhooks import (
    DISABLE_AFTER,
    JOB_ENDS,
    RETRY_DELAYS_S,
    SEND_TIMEOUT_S,
    DeliveryState,
    DisabledReason,
    retry_delay_s,
)
from app.integrations.webhooks import Message, Sent
from app.services import audit
from app.services.api_keys import principal_of

log = structlog.stdlib.get_logger(__name__)

# Who takes a delivery up and is not heard of again has it taken away; twice the longest attempt is enough.
LEASE_S = 2 * SEND_TIMEOUT_S
_GONE = 410


# --- the outbox


async def enqueue(uow: UnitOfWork, events: Sequence[Event], batches: Mapping[uuid.UUID, Batch]) -> None:
    """Write a delivery for each endpoint that wants an event and may hear of it, and for the callbacks of jobs that end."""
    rows: list[dict[str, Any]] = []
    endpoints = await repository.listening(uow.session)
    owners = {endpoint.id: owner_of(endpoint) for endpoint in endpoints}
    for event in events:
        batch = batches.get(event.batch_id) if event.batch_id else None
        for endpoint in endpoints:
            wanted = not endpoint.event_types or event.type in endpoint.event_types
            if wanted and _may_hear(owners[endpoint.id], batch):
                rows.append(_delivery(endpoint.id, event))
    ended = {event.job_id: event for event in events if event.type in JOB_ENDS and event.job_id is not None}
    for job_id, callback in (await repository.callbacks_of(uow.session, ended.keys())).items() if ended else ():
        rows.append(_delivery(callback.endpoint_id, ended[job_id], url=callback.url))
    if rows:
        await uow.session.execute(insert(WebhookDelivery), rows)


def _delivery(endpoint_id: uuid.UUID, event: Event, *, url: str | None = None) -> dict[str, Any]:
    return {"endpoint_id": endpoint_id, "event_id": event.id, "url": url}


def owner_of(endpoint: WebhookEndpoint) -> Principal | None:
    """Who the endpoint belongs to, as of now; None if that is a key that has been revoked or has expired."""
    if endpoint.user is not None:
        return Principal(endpoint.user.name, endpoint.user.role, user_id=endpoint.user.id)
    key = endpoint.api_key
    if key is None or key.revoked_at is not None or (key.expires_at is not None and key.expires_at <= utc_now()):
        return None
    return principal_of(key)


def _may_hear(owner: Principal | None, batch: Batch | None) -> bool:
    """An endpoint is told what its owner may see."""
    if owner is None or not owner.may(Permission.WEBHOOKS_MANAGE) or not owner.may(Permission.JOBS_READ):
        return False
    if batch is None or not batch.private or owner.may(Permission.BATCHES_SEE_PRIVATE):
        return True
    return (batch.user_id is not None and batch.user_id == owner.user_id) or (
        batch.api_key_id is not None and batch.api_key_id == owner.api_key_id
    )


# --- on their way


@dataclass(frozen=True, slots=True, kw_only=True)
class Parcel:
    """A delivery that has been taken up. ``number`` counts its attempts, from 1."""

    delivery_id: uuid.UUID
    endpoint_id: uuid.UUID
    number: int
    message: Message


async def endpoints_with_due(uow: UnitOfWork) -> list[uuid.UUID]:
    return [endpoint.id for endpoint in await repository.endpoints_with_due(uow.session, utc_now())]


async def take_due(uow: UnitOfWork, busy: Mapping[uuid.UUID, int], *, slots: int, probes: int) -> list[Parcel]:
    """Take up what is due: of each endpoint up to ``slots`` at a time (``busy`` says how many are out already), and of one
    that failed last time only up to ``probes``."""
    now = utc_now()
    endpoints = {endpoint.id: endpoint for endpoint in await repository.endpoints_with_due(uow.session, now)}
    due: list[uuid.UUID] = []
    for endpoint in endpoints.values():
        free = (slots if endpoint.failing_since is None else probes) - busy.get(endpoint.id, 0)
        if free > 0 and owner_of(endpoint) is not None:
            due += await repository.due_ids(uow.session, endpoint.id, now, free)
    if not due:
        return []
    taken = await repository.take(uow.session, due, now, now + timedelta(seconds=LEASE_S))
    secrets = {key: _secrets(uow.vault, endpoints[key], now) for key in {delivery.endpoint_id for delivery in taken}}
    return [
        _parcel(delivery, endpoints[delivery.endpoint_id], found)
        for delivery in taken
        if (found := secrets[delivery.endpoint_id])
    ]


def _parcel(delivery: WebhookDelivery, endpoint: WebhookEndpoint, secrets: list[str]) -> Parcel:
    message = Message(
        id=str(delivery.event_id),
        url=delivery.url or endpoint.url,
        body=delivery.event.payload or "",
        secrets=secrets,
    )
    return Parcel(delivery_id=delivery.id, endpoint_id=endpoint.id, number=delivery.attempts, message=message)


def _secrets(vault: Vault, endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    """What signs; none if they were sealed with another key: what is due waits until that one is back."""
    try:
        return [vault.open(sealed) for sealed in _sealed_secrets(endpoint, now)]
    except SealBroken:
        log.warning(
            "secret of a webhook can't be opened: EARMARK_SECRET_KEY is not what sealed it", webhook=str(endpoint.id)
        )
        return []


def _sealed_secrets(endpoint: WebhookEndpoint, now: datetime) -> list[str]:
    if endpoint.one_off:
        assert endpoint.api_key is not None
        return [endpoint.api_key.webhook_secret]
    assert endpoint.secret is not None
    until = endpoint.previous_secret_until
    previous = endpoint.previous_secret if until is not None and until > now else None
    return [endpoint.secret, previous] if previous else [endpoint.secret]


async def seal_readable(uow: UnitOfWork) -> int:
    """Seal what an earlier version has stored readable; returns how many. Conditional: a rotation in between wins."""
    sealed = 0
    for column in (WebhookEndpoint.secret, WebhookEndpoint.previous_secret, ApiKey.webhook_secret):
        table = column.class_
        found = await uow.session.execute(select(table.id, column).where(column.startswith(WEBHOOK_MARK)))
        for row_id, secret in found.all():
            statement = update(table).where(table.id == row_id, column == secret)
            await uow.session.execute(statement.values({column: uow.vault.seal(secret)}))
            sealed += 1
    return sealed


# --- what became of them


@dataclass(frozen=True, slots=True)
class Outcome:
    """An attempt that is over."""

    parcel: Parcel
    sent: Sent


async def record_outcomes(
    uow: UnitOfWork, outcomes: Collection[Outcome], *, delays_s: Sequence[float] = RETRY_DELAYS_S
) -> None:
    """Log the attempts, end or postpone their deliveries, and note how the endpoints are doing."""
    by_endpoint: dict[uuid.UUID, list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        by_endpoint[outcome.parcel.endpoint_id].append(outcome)
    endpoints = await repository.hold(uow.session, by_endpoint.keys())
    there = await repository.still_there(uow.session, [outcome.parcel.delivery_id for outcome in outcomes])
    left = [outcome for outcome in outcomes if outcome.parcel.delivery_id in there]
    if left:
        await uow.session.execute(insert(WebhookAttempt), [_attempt(outcome) for outcome in left])
        await repository.move_on(uow.session, [_change(outcome, delays_s) for outcome in left])
    for endpoint in endpoints:
        _note_health(uow, endpoint, by_endpoint[endpoint.id])


def _attempt(outcome: Outcome) -> dict[str, Any]:
    sent = outcome.sent
    return {
        "delivery_id": outcome.parcel.delivery_id,
        "number": outcome.parcel.number,
        "sent_at": sent.sent_at,
        "duration_ms": sent.duration_ms,
        "status": sent.status,
        "error": sent.error,
        "request_headers": sent.request_headers,
        "response_headers": sent.response_headers,
        "response_body": sent.response_body,
    }


def _change(outcome: Outcome, delays_s: Sequence[float]) -> dict[str, Any]:
    now, sent = utc_now(), outcome.sent
    delay_s = None if sent.succeeded or sent.status == _GONE else retry_delay_s(outcome.parcel.number, delays_s)
    state = DeliveryState.DELIVERED if sent.succeeded else DeliveryState.FAILED
    return {
        "key": outcome.parcel.delivery_id,
        "number": outcome.parcel.number,
        "to_state": state if delay_s is None else DeliveryState.PENDING,
        "to_due_at": now + timedelta(seconds=delay_s or 0),
        "to_finished_at": now if delay_s is None else None,
    }


def _note_health(uow: UnitOfWork, endpoint: WebhookEndpoint, outcomes: Sequence[Outcome]) -> None:
    now = utc_now()
    if any(outcome.sent.succeeded for outcome in outcomes):
        endpoint.last_success_at, endpoint.failing_since = now, None
    elif endpoint.failing_since is None:
        endpoint.failing_since = now
    if endpoint.one_off or endpoint.disabled_at is not None:
        return
    if any(outcome.sent.status == _GONE for outcome in outcomes):
        _disable(uow, endpoint, DisabledReason.GONE)
    elif endpoint.failing_since is not None and now - endpoint.failing_since >= DISABLE_AFTER:
        _disable(uow, endpoint, DisabledReason.FAILING)


def _disable(uow: UnitOfWork, endpoint: WebhookEndpoint, reason: DisabledReason) -> None:
    endpoint.disabled_at, endpoint.disabled_reason = utc_now(), reason
    details = {"url": endpoint.url, "reason": reason}
    audit.record(uow, audit.EARMARK, "webhook.disable", target_type="webhook", target_id=endpoint.id, details=details)
