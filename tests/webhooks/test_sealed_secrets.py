"""Secrets of webhooks are not readable in the database, and those that an older version left there are sealed."""

from __future__ import annotations

from datetime import timedelta

import pytest
import sqlalchemy as sa

from app.db.models import ApiKey, WebhookDelivery, WebhookEndpoint
from app.db.uow import Store
from app.db.vault import SealBroken, Vault
from app.domain.api_keys import NewApiKey
from app.domain.ids import utc_now
from app.domain.permissions import Principal
from app.domain.tokens import new_webhook_secret
from app.domain.webhook_views import NewEndpoint
from app.services.api_keys import create_api_key
from app.services.deliveries import seal_readable, take_due
from app.services.webhooks import create_endpoint, rotate_secret, send_test
from tests.support.factories import make_principal


@pytest.fixture
async def una(store: Store) -> Principal:
    return await make_principal(store)


async def _endpoint(store: Store, una: Principal):
    async with store.writing() as uow:
        return await create_endpoint(uow, una, NewEndpoint(url="https://hooks.example/in"))


async def _due(store: Store):
    async with store.writing() as uow:
        parcels = await take_due(uow, {}, slots=8, probes=1)
        await uow.session.execute(sa.update(WebhookDelivery).values(due_at=utc_now() - timedelta(seconds=1)))
        return parcels


def test_only_the_same_key_opens():
    secret = new_webhook_secret()
    sealed = Vault("a" * 32).seal(secret)
    assert secret not in sealed
    assert Vault("a" * 32).open(sealed) == secret
    for broken in (sealed[:-4] + "AAAA", "", "nonsense"):
        with pytest.raises(SealBroken):
            Vault("a" * 32).open(broken)
    with pytest.raises(SealBroken):
        Vault("b" * 32).open(sealed)


async def test_what_lies_in_the_database_is_sealed_and_still_signs(store: Store, una: Principal):
    made = await _endpoint(store, una)
    async with store.writing() as uow:
        rotated = await rotate_secret(uow, una, made.endpoint.id, overlap_hours=1)
        await send_test(uow, una, made.endpoint.id)
    async with store.reading() as uow:
        row = (await uow.session.execute(sa.select(WebhookEndpoint.secret, WebhookEndpoint.previous_secret))).one()
    assert not {made.secret, rotated.secret} & set(row)
    [parcel] = await _due(store)
    assert parcel.message.secrets == [rotated.secret, made.secret]


async def test_readable_secrets_of_an_older_version_sign_and_are_sealed(store: Store, una: Principal):
    made, plain = await _endpoint(store, una), new_webhook_secret()
    async with store.writing() as uow:
        await create_api_key(uow, NewApiKey(name="importer"))
        await uow.session.execute(sa.update(WebhookEndpoint).values(secret=plain))
        await uow.session.execute(sa.update(ApiKey).values(webhook_secret=plain))
        await send_test(uow, una, made.endpoint.id)
    assert [parcel.message.secrets for parcel in await _due(store)] == [[plain]]
    async with store.writing() as uow:
        assert await seal_readable(uow) == 2
    async with store.writing() as uow:
        assert await seal_readable(uow) == 0
        for column in (WebhookEndpoint.secret, ApiKey.webhook_secret):
            sealed = await uow.session.scalar(sa.select(column))
            assert sealed != plain
            assert uow.vault.open(sealed) == plain
    assert [parcel.message.secrets for parcel in await _due(store)] == [[plain]]


async def test_with_another_key_what_is_due_waits(store: Store, una: Principal):
    made = await _endpoint(store, una)
    right = store.database.vault
    async with store.writing() as uow:
        await send_test(uow, una, made.endpoint.id)
    store.database.vault = Vault("another key, of the wrong kind ...")
    assert await _due(store) == []
    store.database.vault = right
    assert [parcel.message.secrets for parcel in await _due(store)] == [[made.secret]]
