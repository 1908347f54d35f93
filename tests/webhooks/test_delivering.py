"""From an event to the endpoint: signed, in the event's own transaction, tried again, each endpoint for itself."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.db.models import ApiKey, AuditEntry, Event, WebhookDelivery, WebhookEndpoint
from app.domain.api_keys import NewApiKey
from app.domain.ids import utc_now
from app.domain.jobs import EventType
from app.domain.permissions import Role
from app.domain.webhook_views import EndpointChange
from app.domain.webhooks import RETRY_DELAYS_S, DeliveryState, DisabledReason, retry_delay_s
from app.services.api_keys import create_api_key, principals_of_api_keys, revoke_api_key
from app.services.callbacks import add_callback
from app.services.deliveries import take_due
from app.services.delivery_log import get_delivery, redeliver, redeliver_since
from app.services.events import record_event
from app.services.jobs import cancel_job, get_job
from app.services.webhooks import change_endpoint, delete_endpoint, given_up_endpoints, rotate_secret, send_test
from tests.support.factories import finish_job, make_job, make_principal
from tests.support.receiver import receiver
from tests.support.webhooks import deliveries, look, make_endpoint, until_deliveries, verified
from tests.webhooks.conftest import LOOPBACK, Posting


def ended(count: int, state: DeliveryState = DeliveryState.DELIVERED):
    return lambda found: len(found) == count and all(delivery.state is state for delivery in found)


async def test_a_finished_job_is_told_signed_and_without_its_windows(store, posting: Posting):
    una = await make_principal(store)
    async with receiver() as target:
        made = await make_endpoint(store, una, target.url, EventType.JOB_DONE)
        other = await make_endpoint(store, una, target.url, EventType.BATCH_DONE)
        job = await make_job(store, una)
        await finish_job(store, job.id)
        async with posting():
            [request] = await target.wait_for(1)
            [delivery] = await until_deliveries(store, una, made.endpoint.id, ended(1))
    message = verified(request, made.secret)
    assert message["type"] == "job.done"
    assert message["data"]["id"] == str(job.id)
    assert message["data"]["result"]["top1"]["genre"] == "soft_rock"
    assert message["data"]["result"]["windows"] == []
    assert request.headers["webhook-id"] == str(delivery.event_id)
    assert await deliveries(store, una, other.endpoint.id) == []


async def test_what_is_rolled_back_is_told_to_nobody(store):
    una = await make_principal(store)
    made = await make_endpoint(store, una, "https://hooks.example/")
    job = await make_job(store, una)

    async def cancel_and_fail() -> None:
        async with store.writing() as uow:
            await cancel_job(uow, una, job.id)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await cancel_and_fail()
    assert await deliveries(store, una, made.endpoint.id) == []
    async with store.writing() as uow:
        await cancel_job(uow, una, job.id)
    [delivery] = await deliveries(store, una, made.endpoint.id)
    assert (delivery.event_type, delivery.job_id) == (EventType.JOB_CANCELLED, job.id)
