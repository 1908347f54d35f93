"""A portal with webhooks that work, that fail and that were given up."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import timedelta

from sqlalchemy import update

from app.db.models import WebhookEndpoint
from app.db.uow import Store
from app.domain.ids import utc_now
from app.domain.jobs import EventType
from app.domain.permissions import Principal
from app.domain.webhook_views import NewEndpoint
from app.integrations.webhooks import Message, Sent, signed_headers
from app.services.deliveries import Outcome, Parcel, record_outcomes, take_due
from app.services.webhooks import create_endpoint, send_test
from tests.support.factories import finish_job, make_job


async def webhook_pages(store: Store, owner: Principal) -> dict[str, str]:
    """The pages of webhooks by what they show."""
    good = await _endpoint(store, owner, "https://hooks.example.com/earmark", "catalogue sync", EventType.JOB_DONE)
    bad = await _endpoint(store, owner, "https://old.example.com/a/very/long/address?" + "token=x&" * 20, "")
    await finish_job(store, (await make_job(store, owner, "anthem.mp3")).id)
    for endpoint_id in (good, bad):
        async with store.writing() as uow:
            delivery_id = await send_test(uow, owner, endpoint_id)
        if endpoint_id == good:
            shown = delivery_id
    async with store.writing() as uow:
        parcels = await take_due(uow, {}, slots=50, probes=50)
        await record_outcomes(uow, [Outcome(parcel, _sent(parcel, parcel.endpoint_id == good)) for parcel in parcels])
        since = utc_now() - timedelta(hours=30)
        await uow.session.execute(update(WebhookEndpoint).where(WebhookEndpoint.id == bad).values(failing_since=since))
    return {
        "webhooks": "/webhooks",
        "webhook": f"/webhooks/{good}",
        "webhook-failing": f"/webhooks/{bad}",
        "delivery": f"/webhooks/{good}/deliveries/{shown}",
    }


async def _endpoint(store: Store, owner: Principal, url: str, description: str, *types: EventType) -> uuid.UUID:
    async with store.writing() as uow:
        wanted = NewEndpoint(url=url, description=description, event_types=list(types))
        return (await create_endpoint(uow, owner, wanted)).endpoint.id


def _sent(parcel: Parcel, arrived: bool) -> Sent:
    message: Message = parcel.message
    sent = Sent(sent_at=utc_now(), duration_ms=84.2, request_headers=signed_headers(message, utc_now()))
    headers = {"content-type": "text/plain", "server": "hooks"}
    if arrived:
        return replace(sent, status=200, response_headers=headers, response_body="thank you")
    return replace(sent, status=503, error="answered 503", response_headers=headers, response_body="<b>later</b>")
