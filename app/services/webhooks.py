"""Endpoints of webhooks: made, changed, given a new secret, deleted by those they belong to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta

from msgspec import UNSET

from app.db.models import WebhookDelivery, WebhookEndpoint
from app.db.repositories import webhooks as repository
from app.db.uow import UnitOfWork
from app.domain.addresses import IntranetHosts
from app.domain.ids import utc_now
from app.domain.jobs import EventType
from app.domain.permissions import Principal
from app.domain.tokens import new_webhook_secret
from app.domain.webhook_views import EndpointChange, EndpointCreated, EndpointList, EndpointOut, NewEndpoint
from app.domain.webhooks import ENDPOINTS_PER_OWNER, PUBLISHED, DisabledReason
from app.errors import EventTypeUnknown, WebhookDisabled, WebhookLimit, WebhookNotFound
from app.integrations.addresses import check_host, check_url
from app.services import audit
from app.services.events import record_test


async def check_address(url: str, intranet: IntranetHosts) -> None:
    """May Earmark call this address? Asks the name service, so no transaction should be open. It is checked again at every
    delivery.

    Raises:
        UrlRefused, HostUnknown, AddressRefused
    """
    await check_host(check_url(url, intranet), intranet)


def _view(endpoint: WebhookEndpoint) -> EndpointOut:
    owner = endpoint.user or endpoint.api_key
    return EndpointOut(
        id=endpoint.id,
        url=endpoint.url,
        event_types=[EventType(name) for name in endpoint.event_types],
        description=endpoint.description,
        enabled=endpoint.disabled_at is None,
        disabled_reason=endpoint.disabled_reason,
        disabled_at=endpoint.disabled_at,
        failing_since=endpoint.failing_since,
        last_success_at=endpoint.last_success_at,
        previous_secret_until=endpoint.previous_secret_until,
        owner=owner.name if owner else None,
        created_at=endpoint.created_at,
    )


def _known(event_types: Sequence[EventType]) -> list[str]:
    for event_type in event_types:
        if event_type not in PUBLISHED:
            raise EventTypeUnknown(type=event_type)
    return sorted(set(event_types))


async def find_endpoint(uow: UnitOfWork, principal: Principal, endpoint_id: uuid.UUID) -> WebhookEndpoint:
    """An endpoint that the caller may manage.

    Raises:
        WebhookNotFound
    """
    endpoint = await repository.endpoint_of(uow.session, principal, endpoint_id)
    if endpoint is None:
        raise WebhookNotFound
    return endpoint


async def list_endpoints(uow: UnitOfWork, principal: Principal) -> EndpointList:
    return EndpointList(items=[_view(endpoint) for endpoint in await repository.endpoints_of(uow.session, principal)])


async def get_endpoint(uow: UnitOfWork, principal: Principal, endpoint_id: uuid.UUID) -> EndpointOut:
    return _view(await find_endpoint(uow, principal, endpoint_id))


async def create_endpoint(uow: UnitOfWork, principal: Principal, wanted: NewEndpoint) -> EndpointCreated:
    """The address must have been checked.

    Raises:
        WebhookLimit: the caller has as many as allowed.
        EventTypeUnknown
    """
    if await repository.count_own(uow.session, principal) >= ENDPOINTS_PER_OWNER:
        raise WebhookLimit(limit=ENDPOINTS_PER_OWNER)
    secret = new_webhook_secret()
    endpoint = WebhookEndpoint(
        url=wanted.url,
        event_types=_known(wanted.event_types),
        description=wanted.description,
        secret=uow.vault.seal(secret),
        user_id=principal.user_id,
        api_key_id=principal.api_key_id,
    )
    uow.session.add(endpoint)
    await uow.session.flush()
    await uow.session.refresh(endpoint, ["user", "api_key"])
    _record(uow, principal, "webhook.create", endpoint, event_types=endpoint.event_types)
    return EndpointCreated(endpoint=_view(endpoint), secret=secret)


async def change_endpoint(
    uow: UnitOfWork, principal: Principal, endpoint_id: uuid.UUID, change: EndpointChange
) -> EndpointOut:
    """A new address must have been checked. To enable an endpoint again forgets its failures; what waits for it goes on."""
    endpoint = await find_endpoint(uow, principal, endpoint_id)
    if change.url is not UNSET:
        endpoint.url = change.url
    if change.event_types is not UNSET:
        endpoint.event_types = _known(change.event_types)
    if change.description is not UNSET:
        endpoint.description = change.description
    if change.enabled is not UNSET:
        _switch(endpoint, enabled=change.enabled)
    _record(uow, principal, "webhook.change", endpoint, enabled=endpoint.disabled_at is None)
    return _view(endpoint)


def _switch(endpoint: WebhookEndpoint, *, enabled: bool) -> None:
    if enabled:
        endpoint.disabled_at = endpoint.disabled_reason = endpoint.failing_since = None
    elif endpoint.disabled_at is None:
        endpoint.disabled_at, endpoint.disabled_reason = utc_now(), DisabledReason.BY_OWNER


async def rotate_secret(
    uow: UnitOfWork, principal: Principal, endpoint_id: uuid.UUID, *, overlap_hours: int
) -> EndpointCreated:
    """A new secret; for ``overlap_hours`` the old one signs beside it."""
    endpoint = await find_endpoint(uow, principal, endpoint_id)
    endpoint.previous_secret = endpoint.secret
    endpoint.previous_secret_until = utc_now() + timedelta(hours=overlap_hours)
    secret = new_webhook_secret()
    endpoint.secret = uow.vault.seal(secret)
    _record(uow, principal, "webhook.rotate_secret", endpoint, overlap_hours=overlap_hours)
    return EndpointCreated(endpoint=_view(endpoint), secret=secret)


async def delete_endpoint(uow: UnitOfWork, principal: Principal, endpoint_id: uuid.UUID) -> None:
    """With all its deliveries."""
    endpoint = await find_endpoint(uow, principal, endpoint_id)
    _record(uow, principal, "webhook.delete", endpoint)
    await uow.session.delete(endpoint)


async def send_test(uow: UnitOfWork, principal: Principal, endpoint_id: uuid.UUID) -> uuid.UUID:
    """Put an event that says nothing on its way to this endpoint alone; returns the delivery.

    Raises:
        WebhookDisabled: nothing is sent to it.
    """
    endpoint = await find_endpoint(uow, principal, endpoint_id)
    if endpoint.disabled_at is not None:
        raise WebhookDisabled
    event = await record_test(uow)
    delivery = WebhookDelivery(endpoint_id=endpoint.id, event_id=event.id)
    uow.session.add(delivery)
    await uow.session.flush()
    return delivery.id


async def given_up_endpoints(uow: UnitOfWork, principal: Principal) -> int:
    """How many of the caller's endpoints Earmark has stopped calling: the portal tells."""
    return await repository.given_up(uow.session, principal)


def _record(uow: UnitOfWork, principal: Principal, action: str, endpoint: WebhookEndpoint, **details: object) -> None:
    audit.record(
        uow, principal, action, target_type="webhook", target_id=endpoint.id, details={"url": endpoint.url, **details}
    )
