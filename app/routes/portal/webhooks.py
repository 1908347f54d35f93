"""Webhooks: everybody's own endpoints, what was sent to them, and sending it again; admins see all of them."""

from __future__ import annotations

import uuid
from datetime import timedelta

import msgspec
from litestar import Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Template

from app.domain.ids import utc_now
from app.domain.jobs import EventType
from app.domain.permissions import Permission
from app.domain.webhook_views import DeliveryDetail, DeliveryPage, EndpointChange, EndpointOut, NewEndpoint, Rotation
from app.domain.webhooks import DEFAULT_OVERLAP_HOURS, ENDPOINTS_PER_OWNER, PUBLISHED, DeliveryState
from app.errors import RequestMalformed
from app.routes.deps import Caller, Parts, ReadUow, Uow, WebRequest
from app.routes.guards import needs
from app.routes.pages import asked_by_script, page
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import PortalPage
from app.services import delivery_log, webhooks

ADDRESS = "/webhooks"
_READ = needs(Permission.WEBHOOKS_READ)
_MANAGE = needs(Permission.WEBHOOKS_MANAGE)
_LOG_LENGTH = 30
_MOST_HOURS = 720
_EVENT_TYPES = sorted(PUBLISHED)

EndpointId = FromPath[uuid.UUID]


class WebhooksPage(PortalPage, frozen=True, kw_only=True):
    endpoints: list[EndpointOut]
    event_types: list[EventType]
    most: int
    sees_all: bool


class WebhookSecret(msgspec.Struct, frozen=True, kw_only=True):
    """The one time that a secret is shown. ``overlap_hours``: so long the old one signs too; 0 for a new webhook."""

    endpoint: EndpointOut
    secret: str
    overlap_hours: int


class DeliveriesPart(msgspec.Struct, frozen=True, kw_only=True):
    endpoint: EndpointOut
    deliveries: DeliveryPage
    delivery_state: DeliveryState | None


class WebhookPage(PortalPage, frozen=True, kw_only=True):
    endpoint: EndpointOut
    event_types: list[EventType]
    log: DeliveriesPart
    overlap_hours: int


class WebhookDeliveryPage(PortalPage, frozen=True, kw_only=True):
    endpoint: EndpointOut
    delivery: DeliveryDetail


def _to(endpoint_id: uuid.UUID | None = None, delivery_id: uuid.UUID | None = None) -> Response[str]:
    """Have the script open a page: what has been done shows there."""
    address = ADDRESS if endpoint_id is None else f"{ADDRESS}/{endpoint_id}"
    address += f"/deliveries/{delivery_id}" if delivery_id else ""
    return Response("", headers={"HX-Redirect": address}, media_type=MediaType.HTML)


def _fields(form: FormMultiDict) -> dict[str, object]:
    return {
        "url": str(form.get("url", "")).strip(),
        "description": str(form.get("description", "")).strip(),
        "event_types": [str(name) for name in form.getall("event", [])],
    }


def _number(form: FormMultiDict, name: str, most: int) -> int:
    text = str(form.get(name, ""))
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) <= most):
        raise RequestMalformed
    return int(text)


# --- all of them


@get(ADDRESS, opt=_READ)
async def webhooks_page(request: WebRequest, read_uow: ReadUow, caller: Caller, notices: AllNotices) -> Template:
    view = WebhooksPage(
        notices=notices,
        endpoints=(await webhooks.list_endpoints(read_uow, caller)).items,
        event_types=_EVENT_TYPES,
        most=ENDPOINTS_PER_OWNER,
        sees_all=caller.may(Permission.WEBHOOKS_MANAGE_ANY),
    )
    return page(request, "webhooks/list.html", view)


@post(ADDRESS, opt=_MANAGE, status_code=200)
async def create(request: WebRequest, parts: Parts, caller: Caller) -> Template:
    try:
        wanted = msgspec.convert(_fields(await request.form()), NewEndpoint)
    except msgspec.ValidationError:
        raise RequestMalformed from None
    await webhooks.check_address(wanted.url, parts.config.intranet)
    async with parts.store.writing() as uow:
        made = await webhooks.create_endpoint(uow, caller, wanted)
    assert made.secret is not None
    view = WebhookSecret(endpoint=made.endpoint, secret=made.secret, overlap_hours=0)
    return page(request, "webhooks/secret.html", view)


# --- one of them


def _state_of(request: WebRequest) -> DeliveryState | None:
    wanted = request.query_params.get("state")
    return DeliveryState(wanted) if wanted in set(DeliveryState) else None


def _cursor_of(request: WebRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.query_params.get("cursor", ""))
    except ValueError:
        return None


@get(f"{ADDRESS}/{{endpoint_id:uuid}}", opt=_READ)
async def webhook_page(
    request: WebRequest, read_uow: ReadUow, caller: Caller, *, notices: AllNotices, endpoint_id: EndpointId
) -> Template:
    """The page; for the filter its log; for "show more" the next rows."""
    state, cursor = _state_of(request), _cursor_of(request)
    endpoint = await webhooks.get_endpoint(read_uow, caller, endpoint_id)
    found = await delivery_log.list_deliveries(
        read_uow, caller, endpoint_id, state=state, cursor=cursor, limit=_LOG_LENGTH
    )
    log = DeliveriesPart(endpoint=endpoint, deliveries=found, delivery_state=state)
    if asked_by_script(request):
        return page(request, "webhooks/rows.html" if cursor else "webhooks/log.html", log)
    view = WebhookPage(
        notices=notices, endpoint=endpoint, event_types=_EVENT_TYPES, log=log, overlap_hours=DEFAULT_OVERLAP_HOURS
    )
    return page(request, "webhooks/webhook.html", view)


@post(f"{ADDRESS}/{{endpoint_id:uuid}}/change", opt=_MANAGE, status_code=200)
async def change(request: WebRequest, parts: Parts, caller: Caller, endpoint_id: EndpointId) -> Response[str]:
    try:
        wanted = msgspec.convert(_fields(await request.form()), EndpointChange)
    except msgspec.ValidationError:
        raise RequestMalformed from None
    await webhooks.check_address(str(wanted.url), parts.config.intranet)
    async with parts.store.writing() as uow:
        await webhooks.change_endpoint(uow, caller, endpoint_id, wanted)
    return _to(endpoint_id)


@post(f"{ADDRESS}/{{endpoint_id:uuid}}/on", opt=_MANAGE, status_code=200)
async def switch_on(uow: Uow, caller: Caller, endpoint_id: EndpointId) -> Response[str]:
    await webhooks.change_endpoint(uow, caller, endpoint_id, EndpointChange(enabled=True))
    return _to(endpoint_id)


@post(f"{ADDRESS}/{{endpoint_id:uuid}}/off", opt=_MANAGE, status_code=200)
async def switch_off(uow: Uow, caller: Caller, endpoint_id: EndpointId) -> Response[str]:
    await webhooks.change_endpoint(uow, caller, endpoint_id, EndpointChange(enabled=False))
    return _to(endpoint_id)


@post(f"{ADDRESS}/{{endpoint_id:uuid}}/secret", opt=_MANAGE, status_code=200)
async def rotate_secret(request: WebRequest, parts: Parts, caller: Caller, endpoint_id: EndpointId) -> Template:
    hours = _number(await request.form(), "overlap_hours", 168)
    async with parts.store.writing() as uow:
        made = await webhooks.rotate_secret(
            uow, caller, endpoint_id, overlap_hours=Rotation(overlap_hours=hours).overlap_hours
        )
    assert made.secret is not None
    return page(
        request, "webhooks/secret.html", WebhookSecret(endpoint=made.endpoint, secret=made.secret, overlap_hours=hours)
    )


@post(f"{ADDRESS}/{{endpoint_id:uuid}}/test", opt=_MANAGE, status_code=200)
async def send_test(uow: Uow, caller: Caller, endpoint_id: EndpointId) -> Response[str]:
    return _to(endpoint_id, await webhooks.send_test(uow, caller, endpoint_id))


@post(f"{ADDRESS}/{{endpoint_id:uuid}}/delete", opt=_MANAGE, status_code=200)
async def delete(uow: Uow, caller: Caller, endpoint_id: EndpointId) -> Response[str]:
    await webhooks.delete_endpoint(uow, caller, endpoint_id)
    return _to()


@post(f"{ADDRESS}/{{endpoint_id:uuid}}/redeliver", opt=_MANAGE, status_code=200)
async def redeliver_since(request: WebRequest, parts: Parts, caller: Caller, endpoint_id: EndpointId) -> Response[str]:
    form = await request.form()
    since = utc_now() - timedelta(hours=_number(form, "hours", _MOST_HOURS))
    async with parts.store.writing() as uow:
        await delivery_log.redeliver_since(
            uow, caller, endpoint_id, since, include_delivered=bool(form.get("include_delivered"))
        )
    return _to(endpoint_id)


# --- one delivery


@get(f"{ADDRESS}/{{endpoint_id:uuid}}/deliveries/{{delivery_id:uuid}}", opt=_READ)
async def delivery_page(
    request: WebRequest,
    read_uow: ReadUow,
    caller: Caller,
    *,
    notices: AllNotices,
    endpoint_id: EndpointId,
    delivery_id: FromPath[uuid.UUID],
) -> Template:
    """The page; while the delivery is on its way the page asks for its changing part."""
    endpoint = await webhooks.get_endpoint(read_uow, caller, endpoint_id)
    delivery = await delivery_log.get_delivery(read_uow, caller, endpoint_id, delivery_id)
    template = "webhooks/attempts.html" if asked_by_script(request) else "webhooks/delivery.html"
    return page(request, template, WebhookDeliveryPage(notices=notices, endpoint=endpoint, delivery=delivery))


@post(f"{ADDRESS}/{{endpoint_id:uuid}}/deliveries/{{delivery_id:uuid}}/redeliver", opt=_MANAGE, status_code=200)
async def redeliver(
    uow: Uow, caller: Caller, endpoint_id: EndpointId, delivery_id: FromPath[uuid.UUID]
) -> Response[str]:
    again = await delivery_log.redeliver(uow, caller, endpoint_id, delivery_id)
    return _to(endpoint_id, again.id)


HANDLERS = [
    webhooks_page,
    create,
    webhook_page,
    change,
    switch_on,
    switch_off,
    rotate_secret,
    send_test,
    delete,
    redeliver_since,
    delivery_page,
    redeliver,
]
