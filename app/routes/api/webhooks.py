"""Webhooks over the API: endpoints, what was sent to them, and sending it again."""

from __future__ import annotations

import uuid
from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.datastructures import ResponseHeader
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET

from app.domain.permissions import Permission
from app.domain.webhook_views import (
    DeliveryDetail,
    DeliveryOut,
    DeliveryPage,
    EndpointChange,
    EndpointCreated,
    EndpointList,
    EndpointOut,
    NewEndpoint,
    RedeliveryOut,
    RedeliveryRequest,
    Rotation,
)
from app.domain.webhooks import DeliveryState
from app.routes.api.filters import cursor_of
from app.routes.deps import Caller, Parts, ReadUow, Uow
from app.routes.guards import needs
from app.routes.idempotency import Created, Idempotency
from app.routes.openapi import problems
from app.services import delivery_log, webhooks
from app.services.delivery_log import PAGE_LIMIT

_TAGS = ["webhooks"]
_READ = needs(Permission.WEBHOOKS_READ)
_MANAGE = needs(Permission.WEBHOOKS_MANAGE)
_LOCATION = ResponseHeader(
    name="Location", value="/api/v1/webhooks/…", description="Address of the new thing", documentation_only=True
)

EndpointId = FromPath[uuid.UUID]
DeliveryId = FromPath[uuid.UUID]


def _at(endpoint_id: uuid.UUID, delivery_id: uuid.UUID | None = None) -> str:
    address = f"/api/v1/webhooks/{endpoint_id}"
    return f"{address}/deliveries/{delivery_id}" if delivery_id else address


# --- endpoints


@post(
    "/webhooks",
    opt=_MANAGE,
    status_code=201,
    operation_id="createWebhook",
    summary="Create a webhook",
    tags=_TAGS,
    response_headers=[_LOCATION],
    responses=problems(400, 409, 422),
)
async def create_webhook(
    parts: Parts, uow: Uow, caller: Caller, *, once: Idempotency, data: JSONBody[NewEndpoint]
) -> Response[EndpointCreated]:
    """An address that is told of events, from now on. The answer carries the secret that signs, this once. Of private batches
    it is told what you may see."""
    await webhooks.check_address(data.url, parts.config.intranet)

    async def create() -> Created[EndpointCreated]:
        made = await webhooks.create_endpoint(uow, caller, data)
        return Created(
            content=made, location=_at(made.endpoint.id), repeated=EndpointCreated(endpoint=made.endpoint, secret=None)
        )

    return await once.answer(uow, create)


@get(
    "/webhooks",
    opt=_READ,
    operation_id="listWebhooks",
    summary="List webhooks",
    tags=_TAGS,
    responses=problems(),
)
async def list_webhooks(read_uow: ReadUow, caller: Caller) -> EndpointList:
    """Yours and those of your API keys; admins see everybody's."""
    return await webhooks.list_endpoints(read_uow, caller)


@get(
    "/webhooks/{endpoint_id:uuid}",
    opt=_READ,
    operation_id="getWebhook",
    summary="Get a webhook",
    tags=_TAGS,
    responses=problems(404),
)
async def get_webhook(read_uow: ReadUow, caller: Caller, endpoint_id: EndpointId) -> EndpointOut:
    """How it is set, and how it is doing."""
    return await webhooks.get_endpoint(read_uow, caller, endpoint_id)


@patch(
    "/webhooks/{endpoint_id:uuid}",
    opt=_MANAGE,
    operation_id="changeWebhook",
    summary="Change a webhook",
    tags=_TAGS,
    responses=problems(400, 404),
)
async def change_webhook(
    parts: Parts, uow: Uow, caller: Caller, *, endpoint_id: EndpointId, data: JSONBody[EndpointChange]
) -> EndpointOut:
    """What is left out stays as it is. While it is not enabled nothing new is sent to it; what was on its way waits."""
    if data.url is not UNSET:
        await webhooks.check_address(data.url, parts.config.intranet)
    return await webhooks.change_endpoint(uow, caller, endpoint_id, data)


@delete(
    "/webhooks/{endpoint_id:uuid}",
    opt=_MANAGE,
    operation_id="deleteWebhook",
    summary="Delete a webhook",
    tags=_TAGS,
    responses=problems(404),
)
async def delete_webhook(uow: Uow, caller: Caller, endpoint_id: EndpointId) -> None:
    """With its log; what was on its way is not sent any more."""
    await webhooks.delete_endpoint(uow, caller, endpoint_id)


@post(
    "/webhooks/{endpoint_id:uuid}/secret",
    opt=_MANAGE,
    status_code=201,
    operation_id="rotateWebhookSecret",
    summary="Give it a new secret",
    tags=_TAGS,
    responses=problems(400, 404, 422),
)
async def rotate_webhook_secret(
    uow: Uow, caller: Caller, once: Idempotency, *, endpoint_id: EndpointId, data: JSONBody[Rotation]
) -> Response[EndpointCreated]:
    """The answer carries it, this once. For `overlap_hours` the old one signs too: `webhook-signature` then lists both, and a
    receiver that knows either accepts."""

    async def create() -> Created[EndpointCreated]:
        made = await webhooks.rotate_secret(uow, caller, endpoint_id, overlap_hours=data.overlap_hours)
        return Created(content=made, repeated=EndpointCreated(endpoint=made.endpoint, secret=None))

    return await once.answer(uow, create)


@post(
    "/webhooks/{endpoint_id:uuid}/test",
    opt=_MANAGE,
    status_code=202,
    operation_id="testWebhook",
    summary="Send a test event",
    tags=_TAGS,
    response_headers=[_LOCATION],
    responses=problems(404, 409, 422),
)
async def test_webhook(
    uow: Uow, caller: Caller, once: Idempotency, endpoint_id: EndpointId
) -> Response[DeliveryDetail]:
    """An event `webhook.test`, for this endpoint alone. The delivery answered here tells a moment later what came of it."""

    async def create() -> Created[DeliveryDetail]:
        delivery_id = await webhooks.send_test(uow, caller, endpoint_id)
        delivery = await delivery_log.get_delivery(uow, caller, endpoint_id, delivery_id)
        return Created(content=delivery, status=202, location=_at(endpoint_id, delivery_id))

    return await once.answer(uow, create)


# --- deliveries


@get(
    "/webhooks/{endpoint_id:uuid}/deliveries",
    opt=_READ,
    operation_id="listDeliveries",
    summary="List deliveries",
    tags=_TAGS,
    responses=problems(400, 404),
)
async def list_deliveries(
    read_uow: ReadUow,
    caller: Caller,
    *,
    endpoint_id: EndpointId,
    delivery_state: Annotated[
        DeliveryState | None, QueryParameter(name="state", description="Only deliveries in this state")
    ] = None,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=PAGE_LIMIT, description="Deliveries on a page")] = 50,
) -> DeliveryPage:
    """Newest first, for 30 days."""
    return await delivery_log.list_deliveries(
        read_uow, caller, endpoint_id, state=delivery_state, cursor=cursor_of(cursor), limit=limit
    )


@get(
    "/webhooks/{endpoint_id:uuid}/deliveries/{delivery_id:uuid}",
    opt=_READ,
    operation_id="getDelivery",
    summary="Get a delivery",
    tags=_TAGS,
    responses=problems(404),
)
async def get_delivery(
    read_uow: ReadUow, caller: Caller, endpoint_id: EndpointId, delivery_id: DeliveryId
) -> DeliveryDetail:
    """With each request and what came back, of the bodies the first 4 KB."""
    return await delivery_log.get_delivery(read_uow, caller, endpoint_id, delivery_id)


@post(
    "/webhooks/{endpoint_id:uuid}/deliveries/{delivery_id:uuid}/redeliver",
    opt=_MANAGE,
    status_code=202,
    operation_id="redeliver",
    summary="Send one again",
    tags=_TAGS,
    response_headers=[_LOCATION],
    responses=problems(404, 409, 422),
)
async def redeliver(
    uow: Uow, caller: Caller, once: Idempotency, *, endpoint_id: EndpointId, delivery_id: DeliveryId
) -> Response[DeliveryOut]:
    """What waits for its next attempt has it now; of what has ended a new delivery is made, with the same `webhook-id`."""

    async def create() -> Created[DeliveryOut]:
        delivery = await delivery_log.redeliver(uow, caller, endpoint_id, delivery_id)
        return Created(content=delivery, status=202, location=_at(endpoint_id, delivery.id))

    return await once.answer(uow, create)


@post(
    "/webhooks/{endpoint_id:uuid}/redeliver",
    opt=_MANAGE,
    status_code=202,
    operation_id="redeliverSince",
    summary="Send again since a time",
    tags=_TAGS,
    responses=problems(400, 404, 409, 422),
)
async def redeliver_since(
    uow: Uow, caller: Caller, once: Idempotency, *, endpoint_id: EndpointId, data: JSONBody[RedeliveryRequest]
) -> Response[RedeliveryOut]:
    """After a receiver was down: what has not arrived since then is sent again, each event once. With `include_delivered`
    all of it is."""

    async def create() -> Created[RedeliveryOut]:
        count = await delivery_log.redeliver_since(
            uow, caller, endpoint_id, data.since, include_delivered=data.include_delivered
        )
        return Created(content=RedeliveryOut(count=count), status=202)

    return await once.answer(uow, create)


HANDLERS = [
    create_webhook,
    list_webhooks,
    get_webhook,
    change_webhook,
    delete_webhook,
    rotate_webhook_secret,
    test_webhook,
    list_deliveries,
    get_delivery,
    redeliver,
    redeliver_since,
]
