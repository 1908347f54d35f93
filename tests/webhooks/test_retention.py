"""What is old is forgotten: deliveries after 30 days, events after 90, lanes of callbacks that nothing uses any more."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.db.models import Event, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from app.db.uow import Store
from app.domain.ids import first_id_of, new_id, utc_now
from app.domain.jobs import EventType
from app.domain.permissions import Principal, Role
from app.errors import AddressRefused, CallbackNeedsKey
from app.services.callbacks import add_callback, check_callback
from app.services.delivery_log import forget_old
from tests.support.factories import make_job, make_principal
from tests.support.webhooks import make_endpoint
from tests.webhooks.conftest import LOOPBACK


def id_of(days_ago: float) -> uuid.UUID:
    return uuid.UUID(int=first_id_of(utc_now() - timedelta(days=days_ago)).int + 1)


def test_ids_are_in_the_order_of_time():
    assert id_of(31) < first_id_of(utc_now() - timedelta(days=30)) < id_of(29) < new_id()


async def count(store: Store, table: type) -> int:
    async with store.reading() as uow:
        return await uow.session.scalar(select(func.count()).select_from(table)) or 0


async def test_old_deliveries_go_with_their_attempts_and_later_their_events(store: Store):
    made = await make_endpoint(store, await make_principal(store), "https://hooks.example/")
    async with store.writing() as uow:
        for days in (1, 29, 31, 89, 91):
            event = Event(id=id_of(days), type=EventType.JOB_DONE, payload="{}")
            delivery = WebhookDelivery(id=id_of(days), endpoint_id=made.endpoint.id, event_id=event.id)
            uow.session.add(event)
            await uow.session.flush()
            uow.session.add(delivery)
            await uow.session.flush()
            attempt = {"number": 1, "sent_at": utc_now(), "duration_ms": 1.0}
            answer = {"request_headers": {}, "response_headers": {}, "response_body": ""}
            uow.session.add(WebhookAttempt(delivery_id=delivery.id, **attempt, **answer))
    async with store.writing() as uow:
        assert await forget_old(uow) == 4
    assert [await count(store, table) for table in (WebhookDelivery, WebhookAttempt, Event)] == [2, 2, 4]
    async with store.writing() as uow:
        assert await forget_old(uow) == 0


async def test_a_lane_of_callbacks_lives_as_long_as_a_job_needs_it(store: Store, program: Principal):
    job = await make_job(store, program)
    async with store.writing() as uow:
        await add_callback(uow, program, job.id, "http://127.0.0.1:9/a", intranet=LOOPBACK)
        long_ago = utc_now() - timedelta(days=60)
        uow.session.add(
            WebhookEndpoint(
                url="https://gone.example", one_off=True, api_key_id=program.api_key_id, created_at=long_ago
            )
        )
    assert await count(store, WebhookEndpoint) == 2
    async with store.writing() as uow:
        await forget_old(uow)
    assert await count(store, WebhookEndpoint) == 1


def test_a_callback_needs_a_key_and_an_address_that_may_be_called():
    with pytest.raises(CallbackNeedsKey):
        check_callback(Principal("Una", Role.ADMIN, user_id=new_id()), "https://hooks.example/", LOOPBACK)
    with pytest.raises(AddressRefused):
        check_callback(Principal("key", Role.ADMIN, api_key_id=new_id()), "https://10.1.1.1/", LOOPBACK)
