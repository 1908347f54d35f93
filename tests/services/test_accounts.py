"""People, sessions and API keys, on SQLite and on PostgreSQL."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import select

from app.db.models import ApiKey, Session, SignInAttempt, SignInLink
from app.db.uow import Store
from app.domain.api_keys import NewApiKey
from app.domain.permissions import Role
from app.errors import SignInRefused
from app.services import accounts, api_keys
from app.services.accounts import Identity, PendingSignIn

HOUR = timedelta(hours=1)
EVE = Identity(issuer="https://login.test", subject="eve", name="Eve", email="eve@example.test", role=Role.VIEWER)


async def _sign_in(
    store: Store, identity: Identity = EVE, *, lifetime: timedelta = HOUR, sid: str | None = None
) -> str:
    async with store.writing() as uow:
        return await accounts.sign_in(uow, identity, lifetime=lifetime, provider_session=sid, id_token="t")


async def _who(store: Store, token: str) -> accounts.SignedIn | None:
    async with store.reading() as uow:
        return await accounts.session_of(uow, token)


async def test_a_session_knows_its_person_until_sign_out(store: Store):
    token = await _sign_in(store)
    signed_in = await _who(store, token)
    assert signed_in is not None
    assert (signed_in.principal.name, signed_in.principal.role) == ("Eve", Role.VIEWER)
    async with store.writing() as uow:
        await accounts.sign_out(uow, signed_in.session_id)
    assert await _who(store, token) is None


async def test_only_the_hash_of_a_token_is_kept(store: Store):
    token = await _sign_in(store)
    async with store.writing() as uow:
        key = (await api_keys.create_api_key(uow, NewApiKey(name="script"))).key
    async with store.reading() as uow:
        session = (await uow.session.scalars(select(Session))).one()
        api_key = (await uow.session.scalars(select(ApiKey))).one()
    assert token not in repr(vars(session))
    assert key not in repr(vars(api_key))
    assert key.startswith(api_key.prefix)


async def test_an_expired_session_is_nobody_and_is_swept(store: Store):
    token = await _sign_in(store, lifetime=-HOUR)
    assert await _who(store, token) is None
    async with store.writing() as uow:
        await accounts.forget_expired(uow)
    async with store.reading() as uow:
        assert (await uow.session.scalars(select(Session))).all() == []


async def test_the_role_follows_the_provider_at_each_sign_in(store: Store):
    await _sign_in(store)
    promoted = Identity(issuer=EVE.issuer, subject="eve", name="Eve B.", email=None, role=Role.ADMIN)
    signed_in = await _who(store, await _sign_in(store, promoted))
    assert signed_in is not None
    assert (signed_in.principal.name, signed_in.principal.role) == ("Eve B.", Role.ADMIN)


async def test_back_channel_logout_ends_one_session_or_all_of_a_person(store: Store):
    first, second, third = [await _sign_in(store, sid=sid) for sid in ("a", "b", "c")]
    async with store.writing() as uow:
        ended = await accounts.sign_out_provider_session(uow, issuer=EVE.issuer, subject=None, sid="b")
    assert ended == 1
    assert [bool(await _who(store, token)) for token in (first, second, third)] == [True, False, True]
    async with store.writing() as uow:
        assert await accounts.sign_out_provider_session(uow, issuer="https://other", subject="eve", sid=None) == 0
        assert await accounts.sign_out_provider_session(uow, issuer=EVE.issuer, subject="eve", sid=None) == 2


async def test_a_link_signs_in_once_even_when_two_try(store: Store):
    async with store.writing() as uow:
        token = await accounts.create_sign_in_link(uow)

    async def use() -> bool:
        try:
            async with store.writing() as uow:
                return (await accounts.use_sign_in_link(uow, token)).role is Role.ADMIN
        except SignInRefused:
            return False

    assert sorted(await asyncio.gather(use(), use())) == [False, True]
    async with store.reading() as uow:
        assert (await uow.session.scalars(select(SignInLink))).all() == []


async def test_a_pending_sign_in_comes_back_once(store: Store):
    pending = PendingSignIn("state", "nonce", "verifier", "/jobs")
    async with store.writing() as uow:
        token = await accounts.start_sign_in(uow, pending)
    async with store.writing() as uow:
        assert await accounts.take_sign_in(uow, token) == pending
    for wrong in (token, "another"):
        with pytest.raises(SignInRefused):
            async with store.writing() as uow:
                await accounts.take_sign_in(uow, wrong)
    async with store.reading() as uow:
        assert (await uow.session.scalars(select(SignInAttempt))).all() == []


@pytest.mark.parametrize(
    ("value", "role"),
    [
        (["staff", "curators"], Role.REVIEWER),
        ("staff curators", Role.REVIEWER),
        (["admin"], Role.ADMIN),
        (["staff"], Role.VIEWER),
        (None, Role.VIEWER),
        ({"odd": 1}, Role.VIEWER),
    ],
)
def test_the_highest_role_of_the_claim_counts(value: object, role: Role):
    mapped = accounts.role_of(
        {"groups": value}, claim="groups", role_map={"curators": Role.REVIEWER}, default=Role.VIEWER
    )
    assert mapped is role


def test_nobody_gets_in_without_a_role():
    with pytest.raises(SignInRefused):
        accounts.role_of({"groups": ["staff"]}, claim="groups", role_map={}, default=None)
