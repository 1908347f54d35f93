"""Sending: tried again, given up, each endpoint for itself. Which database it is makes no difference here."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.db.models import AuditEntry, WebhookDelivery, WebhookEndpoint
from app.domain.ids import utc_now
from app.domain.webhook_views import EndpointChange
from app.domain.webhooks import RETRY_DELAYS_S, DeliveryState, DisabledReason, retry_delay_s
from app.services.delivery_log import get_delivery
from app.services.webhooks import change_endpoint, given_up_endpoints, rotate_secret, send_test
from tests.support.factories import finish_job, make_job, make_principal
from tests.support.receiver import receiver
from tests.support.webhooks import deliveries, ended, look, make_due, make_endpoint, until_deliveries, verified
from tests.webhooks.conftest import Posting


@pytest.fixture
def dsn(sqlite_dsn: str) -> str:
    return sqlite_dsn


async def test_a_failure_is_tried_again_on_the_schedule_until_it_arrives(store, posting: Posting):
    una = await make_principal(store)
    async with receiver(status=500) as target:
        made = await make_endpoint(store, una, target.url)
        async with store.writing() as uow:
            await send_test(uow, una, made.endpoint.id)
        async with posting():
            await target.wait_for(3)
            target.status = 204
            [delivery] = await until_deliveries(store, una, made.endpoint.id, ended(1))
        requests = list(target.received)
    assert delivery.attempts == len(requests) >= 4
    assert {request.headers["webhook-id"] for request in requests} == {str(delivery.event_id)}
    assert all(verified(request, made.secret)["type"] == "webhook.test" for request in requests)
    async with store.reading() as uow:
        detail = await get_delivery(uow, una, made.endpoint.id, delivery.id)
    assert [attempt.number for attempt in detail.log] == list(range(delivery.attempts, 0, -1))
    assert detail.log[0].status == 204
    assert (detail.log[-1].status, detail.log[-1].error) == (500, "answered 500")
    assert (await look(store, una, made.endpoint.id)).failing_since is None


def test_the_schedule_is_the_specifications_with_some_chance():
    assert RETRY_DELAYS_S == (5, 5 * 60, 30 * 60, 2 * 3600, 5 * 3600, 10 * 3600, 14 * 3600, 20 * 3600, 24 * 3600)
    for attempts, delay_s in enumerate(RETRY_DELAYS_S, start=1):
        drawn = {retry_delay_s(attempts) for _ in range(20)}
        assert len(drawn) > 1
        assert all(delay_s <= value <= 1.1 * delay_s for value in drawn)
    assert retry_delay_s(len(RETRY_DELAYS_S) + 1) is None


async def test_the_next_attempt_is_due_after_the_delay_and_the_tenth_is_the_last(store, posting: Posting):
    una = await make_principal(store)
    async with receiver(status=503) as target:
        made = await make_endpoint(store, una, target.url)
        async with store.writing() as uow:
            await send_test(uow, una, made.endpoint.id)
        began = utc_now()
        async with posting(delays_s=RETRY_DELAYS_S):
            await target.wait_for(1)
        [delivery] = await deliveries(store, una, made.endpoint.id)
        assert delivery.next_attempt_at is not None
        assert timedelta(seconds=5) <= delivery.next_attempt_at - began <= timedelta(seconds=15)
        await make_due(store)
        async with posting():
            [delivery] = await until_deliveries(store, una, made.endpoint.id, ended(1, DeliveryState.FAILED))
    assert delivery.attempts == len(target.received) == 10
    assert delivery.next_attempt_at is None


@pytest.mark.parametrize("status", [301, 302, 307])
async def test_a_redirect_is_a_failure_and_not_followed(store, posting: Posting, status: int):
    una = await make_principal(store)
    async with receiver() as elsewhere, receiver(status=status, headers={"location": elsewhere.url}) as target:
        made = await make_endpoint(store, una, target.url)
        async with store.writing() as uow:
            await send_test(uow, una, made.endpoint.id)
        async with posting(delays_s=()):
            [delivery] = await until_deliveries(store, una, made.endpoint.id, ended(1, DeliveryState.FAILED))
        assert elsewhere.received == []
    async with store.reading() as uow:
        detail = await get_delivery(uow, una, made.endpoint.id, delivery.id)
    assert "redirects" in (detail.log[0].error or "")


async def test_410_switches_the_webhook_off_and_its_owner_is_told(store, posting: Posting):
    una, otto = await make_principal(store), await make_principal(store, name="Otto")
    async with receiver(status=410) as target:
        made = await make_endpoint(store, una, target.url)
        async with store.writing() as uow:
            await send_test(uow, una, made.endpoint.id)
        async with posting():
            await until_deliveries(store, una, made.endpoint.id, ended(1, DeliveryState.FAILED))
        assert len(target.received) == 1
    endpoint = await look(store, una, made.endpoint.id)
    assert (endpoint.enabled, endpoint.disabled_reason) == (False, DisabledReason.GONE)
    job = await make_job(store, una)
    await finish_job(store, job.id)
    assert len(await deliveries(store, una, made.endpoint.id)) == 1
    async with store.reading() as uow:
        assert await given_up_endpoints(uow, una) == 1
        assert await given_up_endpoints(uow, otto) == 0
        query = select(AuditEntry.action).where(AuditEntry.target_type == "webhook").order_by(AuditEntry.id)
        actions = (await uow.session.scalars(query)).all()
    assert list(actions) == ["webhook.create", "webhook.disable"]


async def test_five_days_of_failure_switch_it_off_and_switching_on_starts_afresh(store, posting: Posting):
    una = await make_principal(store)
    async with receiver(status=500) as target:
        made = await make_endpoint(store, una, target.url)
        await fail_since(store, made.endpoint.id, days=4)
        async with store.writing() as uow:
            delivery_id = await send_test(uow, una, made.endpoint.id)
        async with posting(delays_s=RETRY_DELAYS_S):
            await until_deliveries(store, una, made.endpoint.id, lambda found: found[0].attempts == 1)
            await target.wait_for(1)
        assert (await look(store, una, made.endpoint.id)).enabled
        await fail_since(store, made.endpoint.id, days=5)
        await make_due(store)
        async with posting(delays_s=RETRY_DELAYS_S):
            await target.wait_for(2)
        endpoint = await look(store, una, made.endpoint.id)
        assert (endpoint.enabled, endpoint.disabled_reason) == (False, DisabledReason.FAILING)
        target.status = 200
        async with store.writing() as uow:
            enabled = await change_endpoint(uow, una, made.endpoint.id, EndpointChange(enabled=True))
            assert (enabled.enabled, enabled.failing_since) == (True, None)
            await uow.session.execute(update(WebhookDelivery).values(due_at=utc_now()))
        async with posting():
            [delivery] = await until_deliveries(store, una, made.endpoint.id, ended(1))
    assert delivery.id == delivery_id


async def fail_since(store, endpoint_id: uuid.UUID, *, days: int) -> None:
    since = utc_now() - timedelta(days=days)
    async with store.writing() as uow:
        change = update(WebhookEndpoint).where(WebhookEndpoint.id == endpoint_id).values(failing_since=since)
        await uow.session.execute(change)


async def test_one_that_hangs_delays_no_other(store, posting: Posting):
    una = await make_principal(store)
    async with receiver() as good, receiver() as hanging:
        hanging.hangs = True
        hung = await make_endpoint(store, una, hanging.url)
        made = await make_endpoint(store, una, good.url)
        for _ in range(40):
            async with store.writing() as uow:
                await send_test(uow, una, hung.endpoint.id)
                await send_test(uow, una, made.endpoint.id)
        async with posting(timeout_s=40, delays_s=RETRY_DELAYS_S):
            await hanging.wait_for(8)
            await until_deliveries(store, una, made.endpoint.id, ended(40))
            assert len(hanging.received) == 8, "all its places are taken by requests that have had no answer yet"
            hanging.hangs = False
            hanging.released.set()
            await until_deliveries(store, una, hung.endpoint.id, lambda found: all(d.attempts for d in found))


async def test_no_answer_in_time_is_a_failure(store, posting: Posting):
    una = await make_principal(store)
    async with receiver() as target:
        target.hangs = True
        made = await make_endpoint(store, una, target.url)
        async with store.writing() as uow:
            delivery_id = await send_test(uow, una, made.endpoint.id)
        async with posting(timeout_s=0.3, delays_s=()):
            await until_deliveries(store, una, made.endpoint.id, ended(1, DeliveryState.FAILED))
    async with store.reading() as uow:
        detail = await get_delivery(uow, una, made.endpoint.id, delivery_id)
    assert detail.log[0].status is None
    assert "0.3 s" in (detail.log[0].error or "")


async def test_after_a_rotation_both_secrets_verify_until_the_overlap_ends(store, posting: Posting):
    una = await make_principal(store)
    async with receiver() as target:
        made = await make_endpoint(store, una, target.url)
        async with store.writing() as uow:
            rotated = await rotate_secret(uow, una, made.endpoint.id, overlap_hours=1)
            await send_test(uow, una, made.endpoint.id)
        async with posting():
            [both] = await target.wait_for(1)
            for secret in (made.secret, rotated.secret):
                assert verified(both, secret)["type"] == "webhook.test"
            async with store.writing() as uow:
                await uow.session.execute(update(WebhookEndpoint).values(previous_secret_until=utc_now()))
                await send_test(uow, una, made.endpoint.id)
            _, new = await target.wait_for(2)
    assert len(both.headers["webhook-signature"].split(" ")) == 2
    assert len(new.headers["webhook-signature"].split(" ")) == 1
    verified(new, rotated.secret)
