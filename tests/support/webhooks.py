"""Endpoints and deliveries for tests, made and looked at through the services."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import Callable
from typing import Any

from sqlalchemy import update
from standardwebhooks import Webhook

from app.db.models import WebhookDelivery
from app.db.uow import Store
from app.domain.ids import utc_now
from app.domain.jobs import EventType
from app.domain.permissions import Principal
from app.domain.webhook_views import DeliveryOut, EndpointCreated, EndpointOut, NewEndpoint
from app.domain.webhooks import DeliveryState
from app.services.delivery_log import list_deliveries
from app.services.webhooks import create_endpoint, get_endpoint
from tests.support.receiver import Received


async def make_endpoint(store: Store, owner: Principal, url: str, *event_types: EventType) -> EndpointCreated:
    async with store.writing() as uow:
        return await create_endpoint(uow, owner, NewEndpoint(url=url, event_types=list(event_types)))


async def look(store: Store, owner: Principal, endpoint_id: uuid.UUID) -> EndpointOut:
    async with store.reading() as uow:
        return await get_endpoint(uow, owner, endpoint_id)


async def deliveries(store: Store, owner: Principal, endpoint_id: uuid.UUID) -> list[DeliveryOut]:
    async with store.reading() as uow:
        return (await list_deliveries(uow, owner, endpoint_id, limit=100)).items


async def until_deliveries(
    store: Store, owner: Principal, endpoint_id: uuid.UUID, wanted: Callable[[list[DeliveryOut]], bool]
) -> list[DeliveryOut]:
    """The endpoint's deliveries once they are as wanted."""
    async with asyncio.timeout(30):
        while not wanted(found := await deliveries(store, owner, endpoint_id)):  # noqa: ASYNC110  a database tells nobody
            await asyncio.sleep(0.02)
    return found


def ended(count: int, state: DeliveryState = DeliveryState.DELIVERED) -> Callable[[list[DeliveryOut]], bool]:
    """So many deliveries, all in that state."""
    return lambda found: len(found) == count and all(delivery.state is state for delivery in found)


async def make_due(store: Store) -> None:
    """As if the time until the next attempts had passed."""
    async with store.writing() as uow:
        await uow.session.execute(update(WebhookDelivery).values(due_at=utc_now()))


def verified(request: Received, secret: str) -> dict[str, Any]:
    """The message, its signature checked by the reference library."""
    Webhook(secret).verify(request.body, request.headers)
    message: dict[str, Any] = json.loads(request.body)
    return message
