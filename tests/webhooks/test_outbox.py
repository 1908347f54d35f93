"""From an event to the endpoint: in the event's own transaction, to those who may hear of it, lost by nobody's death."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.db.models import WebhookDelivery, WebhookEndpoint
from app.domain.api_keys import NewApiKey
from app.domain.ids import utc_now
from app.domain.jobs import EventType, JobKind
from app.domain.permissions import Role
from app.domain.webhooks import RETRY_DELAYS_S, DeliveryState
from app.services.api_keys import create_api_key, principals_of_api_keys, revoke_api_key
from app.services.batches import close_batch, create_batch
from app.services.callbacks import add_callback
from app.services.deliveries import take_due
from app.services.delivery_log import get_delivery, redeliver, redeliver_since
from app.services.jobs import cancel_job
from app.services.webhooks import delete_endpoint, send_test
from tests.support.factories import finish_job, make_job, make_principal, make_upload, submit_job
from tests.support.receiver import receiver
from tests.support.webhooks import deliveries, ended, make_due, make_endpoint, until_deliveries, verified
from tests.webhooks.conftest import LOOPBACK, Posting


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


async def test_what_was_taken_up_and_never_recorded_is_taken_up_again(store, posting: Posting):
    """A process that dies in between leaves the delivery due a little later."""
    una = await make_principal(store)
    async with receiver() as target:
        made = await make_endpoint(store, una, target.url)
        async with store.writing() as uow:
            await send_test(uow, una, made.endpoint.id)
        async with store.writing() as uow:
            [parcel] = await take_due(uow, {}, slots=16, probes=2)
        async with store.writing() as uow:
            assert await take_due(uow, {}, slots=16, probes=2) == []
        assert parcel.number == 1
        await make_due(store)
        async with posting():
            [delivery] = await until_deliveries(store, una, made.endpoint.id, ended(1))
    assert (delivery.attempts, len(target.received)) == (2, 1)


async def test_two_processes_take_up_each_delivery_once(store, posting: Posting):
    una = await make_principal(store)
    async with receiver() as target:
        made = await make_endpoint(store, una, target.url)
        for _ in range(60):
            async with store.writing() as uow:
                await send_test(uow, una, made.endpoint.id)
        async with posting(), posting():
            found = await until_deliveries(store, una, made.endpoint.id, ended(60))
    assert {delivery.attempts for delivery in found} == {1}
    assert len({request.headers["webhook-id"] for request in target.received}) == len(target.received) == 60


async def test_of_an_answer_the_first_four_kilobytes_are_kept(store, posting: Posting):
    una = await make_principal(store)
    async with receiver() as target:
        target.answer = b"\0" + "ä".encode() * 50_000
        made = await make_endpoint(store, una, target.url)
        async with store.writing() as uow:
            delivery_id = await send_test(uow, una, made.endpoint.id)
        async with posting():
            await until_deliveries(store, una, made.endpoint.id, ended(1))
    async with store.reading() as uow:
        detail = await get_delivery(uow, una, made.endpoint.id, delivery_id)
    assert 4000 <= len(detail.log[0].response_body.encode()) <= 4100
    assert "ä" in detail.log[0].response_body
    assert detail.log[0].request_headers["webhook-signature"].startswith("v1,")
    assert '"webhook.test"' in detail.request_body


# --- whose events


async def make_program(store, name: str = "importer", role: Role = Role.UPLOADER):
    async with store.writing() as uow:
        made = await create_api_key(uow, NewApiKey(name=name, role=role))
    async with store.reading() as uow:
        principal = (await principals_of_api_keys(uow, [made.key]))[made.key]
    return principal, made.webhook_secret


async def test_a_jobs_own_callback_is_signed_with_the_keys_secret(store, posting: Posting):
    program, secret = await make_program(store)
    async with receiver() as target:
        for index in range(2):
            job = await make_job(store, program)
            async with store.writing() as uow:
                await add_callback(uow, program, job.id, f"{target.url}?n={index}", intranet=LOOPBACK)
            await finish_job(store, job.id)
        async with posting():
            first, second = await target.wait_for(2)
    assert {first.path, second.path} == {"/hook?n=0", "/hook?n=1"}
    assert verified(first, secret)["type"] == "job.done"
    async with store.reading() as uow:
        assert await uow.session.scalar(select(func.count()).select_from(WebhookEndpoint)) == 1


async def test_a_key_that_is_revoked_is_told_nothing_any_more(store, posting: Posting):
    program, _ = await make_program(store)
    una = await make_principal(store)
    async with receiver() as revoked, receiver() as good:
        made = await make_endpoint(store, program, revoked.url)
        other = await make_endpoint(store, una, good.url)
        before = await make_job(store, una)
        await finish_job(store, before.id)
        async with store.writing() as uow:
            await revoke_api_key(uow, "importer")
        after = await make_job(store, una)
        await finish_job(store, after.id)
        async with posting():
            await until_deliveries(store, una, other.endpoint.id, ended(2))
        assert revoked.received == []
    admin = await make_principal(store, Role.ADMIN)
    assert [delivery.job_id for delivery in await deliveries(store, admin, made.endpoint.id)] == [before.id]


async def test_an_event_in_a_private_batch_is_told_to_its_owner_and_admins_only(store):
    una, otto = await make_principal(store), await make_principal(store, name="Otto")
    admin = await make_principal(store, Role.ADMIN, name="Ada")
    made = {who: await make_endpoint(store, who, "https://hooks.example/") for who in (una, otto, admin)}
    async with store.writing() as uow:
        batch = await create_batch(uow, una, "secret", private=True)
    async with store.writing() as uow:
        job = await submit_job(uow, una, make_upload(), JobKind.GENRE, batch_id=batch.id)
    async with store.writing() as uow:
        await cancel_job(uow, una, job.id)
        await close_batch(uow, una, batch.id)
    told = {who.name: [d.event_type for d in await deliveries(store, who, made[who].endpoint.id)] for who in made}
    both = [EventType.BATCH_DONE, EventType.JOB_CANCELLED]
    assert told == {"Una": both, "Otto": [], "Ada": both}


async def test_an_endpoint_deleted_while_requests_are_out_leaves_no_trace(store, posting: Posting):
    una = await make_principal(store)
    async with receiver() as target:
        target.hangs = True
        made = await make_endpoint(store, una, target.url)
        other = await make_endpoint(store, una, target.url)
        async with store.writing() as uow:
            await send_test(uow, una, made.endpoint.id)
            await send_test(uow, una, other.endpoint.id)
        async with posting(timeout_s=1, delays_s=RETRY_DELAYS_S):
            await target.wait_for(2)
            async with store.writing() as uow:
                await delete_endpoint(uow, una, made.endpoint.id)
            [delivery] = await until_deliveries(store, una, other.endpoint.id, lambda found: found[0].attempts == 1)
    async with store.reading() as uow:
        assert await uow.session.scalar(select(func.count()).select_from(WebhookDelivery)) == 1
        detail = await get_delivery(uow, una, other.endpoint.id, delivery.id)
    assert len(detail.log) == 1


# --- sending again


async def test_sending_again_one_by_one_and_since_a_time(store, posting: Posting):
    una = await make_principal(store)
    async with receiver() as target:
        made = await make_endpoint(store, una, target.url)
        endpoint_id = made.endpoint.id
        async with store.writing() as uow:
            ids = [await send_test(uow, una, endpoint_id) for _ in range(4)]
        async with posting():
            await until_deliveries(store, una, endpoint_id, ended(4))
        await set_state(store, ids[0], DeliveryState.FAILED)
        await set_state(store, ids[1], DeliveryState.PENDING)
        async with store.writing() as uow:
            since = utc_now() - timedelta(hours=1)
            assert await redeliver_since(uow, una, endpoint_id, since, include_delivered=False) == 2
            assert await redeliver_since(uow, una, endpoint_id, utc_now(), include_delivered=True) == 0
        async with posting():
            found = await until_deliveries(
                store, una, endpoint_id, lambda all_: [d.state for d in all_].count(DeliveryState.DELIVERED) == 4
            )
        assert [d.redelivery for d in found] == [True, False, False, False, False]
        async with store.writing() as uow:
            again = await redeliver(uow, una, endpoint_id, ids[3])
            assert again.redelivery
            assert await redeliver_since(uow, una, endpoint_id, since, include_delivered=True) == 3
        async with posting():
            await until_deliveries(
                store, una, endpoint_id, lambda all_: len(all_) == 9 and all(d.finished_at for d in all_)
            )
    ids_sent = [request.headers["webhook-id"] for request in target.received]
    assert (len(ids_sent), len(set(ids_sent))) == (10, 4)


async def set_state(store, delivery_id: uuid.UUID, state: DeliveryState) -> None:
    """As it would be after hours of failures; a pending one is due in an hour."""
    async with store.writing() as uow:
        change = update(WebhookDelivery).where(WebhookDelivery.id == delivery_id)
        await uow.session.execute(change.values(state=state, due_at=utc_now() + timedelta(hours=1)))
