"""Keys of programs: no more than their owner may do, no longer than they should, no more of them than allowed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, select, update

from app.db.models import ApiKey, AuditEntry, User
from app.db.uow import Store, UnitOfWork
from app.domain.api_keys import NewApiKey
from app.domain.ids import utc_now
from app.domain.permissions import Permission, Principal, Role
from app.errors import ApiKeyExpired, ApiKeyLimit, ApiKeyNameTaken, ApiKeyNotFound, Forbidden
from app.services import api_keys
from app.services.api_keys import MadeApiKey
from tests.support.factories import make_job, make_principal


async def _own(store: Store, person: Principal, name: str = "script", most: int = 2, **wanted: Any) -> MadeApiKey:
    async with store.writing() as uow:
        return await api_keys.create_own_api_key(uow, person, NewApiKey(name=name, **wanted), most=most)


async def _who(store: Store, key: str) -> Principal | None:
    async with store.reading() as uow:
        return (await api_keys.principals_of_api_keys(uow, [key, "emk_other"])).get(key)


async def test_a_key_works_until_it_is_revoked(store: Store):
    async with store.writing() as uow:
        key = (await api_keys.create_api_key(uow, NewApiKey(name="archive"))).key
    with pytest.raises(ApiKeyNameTaken):
        async with store.writing() as uow:
            await api_keys.create_api_key(uow, NewApiKey(name="archive", role=Role.ADMIN))
    principal = await _who(store, key)
    assert principal is not None
    assert (principal.name, principal.role, principal.user_id) == ("archive", Role.UPLOADER, None)
    assert await _who(store, key + "x") is None
    async with store.writing() as uow:
        await api_keys.revoke_api_key(uow, "archive")
    assert await _who(store, key) is None
    with pytest.raises(ApiKeyNotFound):
        async with store.writing() as uow:
            await api_keys.revoke_api_key(uow, "archive")
    async with store.reading() as uow:
        entries = await uow.session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        assert [entry.action for entry in entries] == ["api_key.create", "api_key.revoke"]


async def test_what_says_who_somebody_is_is_counted_and_nothing_else(store: Store):
    """By this count web processes know whether they may still rely on whose a key was."""
    una, counted = await make_principal(store), store.database.identity_commits
    await make_job(store, una)
    assert store.database.identity_commits == counted
    changes: list[Callable[[UnitOfWork], Awaitable[object]]] = [
        lambda uow: api_keys.create_api_key(uow, NewApiKey(name="archive")),
        lambda uow: api_keys.revoke_api_key(uow, "archive"),
        lambda uow: uow.session.execute(update(User).values(role=Role.VIEWER)),
        lambda uow: uow.session.execute(delete(ApiKey)),
    ]
    for number, change in enumerate(changes, counted + 1):
        async with store.writing() as uow:
            await change(uow)
            assert store.database.identity_commits == number - 1
        assert store.database.identity_commits == number


async def test_only_hashes_of_keys_are_kept_but_each_has_a_secret_to_sign_with(sqlite_store: Store):
    una = await make_principal(sqlite_store)
    made = [await _own(sqlite_store, una, name) for name in ("one", "two")]
    async with sqlite_store.reading() as uow:
        kept = (await uow.session.scalars(select(ApiKey).order_by(ApiKey.name))).all()
    for key, row in zip(made, kept, strict=True):
        assert key.key not in repr(vars(row))
        assert key.webhook_secret not in repr(vars(row))
        assert key.webhook_secret == uow.vault.open(row.webhook_secret)
    assert made[0].webhook_secret != made[1].webhook_secret


async def test_scopes_narrow_what_the_role_allows(sqlite_store: Store):
    una = await make_principal(sqlite_store)
    narrow = await _who(sqlite_store, (await _own(sqlite_store, una, scopes=[Permission.JOBS_READ])).key)
    assert narrow is not None
    assert [permission for permission in Permission if narrow.may(permission)] == [Permission.JOBS_READ]
    useless = await _who(sqlite_store, (await _own(sqlite_store, una, "b", scopes=[Permission.JOBS_DELETE_ANY])).key)
    assert useless is not None
    assert not any(map(useless.may, Permission))


async def test_an_expired_key_is_worthless(sqlite_store: Store):
    una = await make_principal(sqlite_store)
    made = await _own(sqlite_store, una, expires_at=utc_now() + timedelta(hours=1))
    assert await _who(sqlite_store, made.key) is not None
    async with sqlite_store.writing() as uow:
        await uow.session.execute(update(ApiKey).values(expires_at=utc_now() - timedelta(seconds=1)))
    assert await _who(sqlite_store, made.key) is None
    with pytest.raises(ApiKeyExpired):
        await _own(sqlite_store, una, "late", expires_at=utc_now() - timedelta(seconds=1))


async def test_a_key_can_do_no_more_than_its_owner_even_later(sqlite_store: Store):
    rita = await make_principal(sqlite_store, Role.REVIEWER)
    with pytest.raises(Forbidden):
        await _own(sqlite_store, rita, role=Role.ADMIN)
    key = (await _own(sqlite_store, rita, role=Role.REVIEWER)).key
    async with sqlite_store.writing() as uow:
        await uow.session.execute(update(User).values(role=Role.VIEWER))
    demoted = await _who(sqlite_store, key)
    assert demoted is not None
    assert demoted.role is Role.VIEWER


async def test_a_person_has_only_so_many_keys_even_when_all_are_asked_for_at_once(store: Store):
    una = await make_principal(store)
    made = await asyncio.gather(*(_own(store, una, f"key {n}") for n in range(4)), return_exceptions=True)
    assert sorted(type(entry).__name__ for entry in made) == ["ApiKeyLimit"] * 2 + ["MadeApiKey"] * 2
    one = next(entry for entry in made if isinstance(entry, MadeApiKey))
    async with store.writing() as uow:
        await api_keys.revoke_api_key_by_id(uow, una, one.view.id)
    assert await _own(store, una, "another")
    with pytest.raises(ApiKeyLimit):
        await _own(store, una, "one too many")


async def test_people_manage_their_own_and_admins_all(sqlite_store: Store):
    una, rita = await make_principal(sqlite_store), await make_principal(sqlite_store, name="Rita")
    boss = await make_principal(sqlite_store, Role.ADMIN, name="Boss")
    made = await _own(sqlite_store, una)

    async def listed(person: Principal) -> list[tuple[str, str | None]]:
        async with sqlite_store.reading() as uow:
            return [(key.name, key.owner) for key in await api_keys.list_api_keys(uow, person)]

    assert (await listed(una), await listed(rita), await listed(boss)) == ([("script", "Una")], [], [("script", "Una")])
    with pytest.raises(ApiKeyNotFound):
        async with sqlite_store.writing() as uow:
            await api_keys.revoke_api_key_by_id(uow, rita, made.view.id)
    async with sqlite_store.writing() as uow:
        await api_keys.revoke_api_key_by_id(uow, boss, made.view.id)
    assert await _who(sqlite_store, made.key) is None


async def test_a_key_makes_no_keys(sqlite_store: Store):
    robot = await _who(sqlite_store, (await _own(sqlite_store, await make_principal(sqlite_store))).key)
    assert robot is not None
    with pytest.raises(Forbidden):
        await _own(sqlite_store, robot, "offspring")
    with pytest.raises(Forbidden):
        async with sqlite_store.reading() as uow:
            await api_keys.list_api_keys(uow, robot)
