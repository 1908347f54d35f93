"""Of equal requests at the same time one creates and the others get its answer, on each kind of database."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.db.models import IdempotentAnswer, User
from app.db.uow import Store
from app.domain.ids import utc_now
from app.domain.permissions import Principal
from app.errors import IdempotencyKeyReused
from app.services.idempotency import LIFETIME, KeptAnswer, earlier_answer, forget_old_answers, keep_answer
from tests.support.factories import make_principal


async def _create(store: Store, caller: Principal, number: int, fingerprint: str = "same") -> str:
    """What a handler does: the thing that it creates is the answer itself."""
    async with store.writing() as uow:
        kept = await earlier_answer(uow, caller, "key", fingerprint)
        if kept is not None:
            return kept.body
        await asyncio.sleep(0)
        await keep_answer(uow, caller, "key", KeptAnswer(201, f"made by {number}", None))
    return f"made by {number}"


async def test_of_many_at_once_one_creates(store: Store):
    una = await make_principal(store)
    answers = await asyncio.gather(*(_create(store, una, number) for number in range(12)))
    assert len(set(answers)) == 1
    async with store.reading() as uow:
        assert await uow.session.scalar(select(func.count()).select_from(IdempotentAnswer)) == 1


async def test_another_request_with_the_key_is_refused(store: Store):
    una = await make_principal(store)
    await _create(store, una, 1)
    with pytest.raises(IdempotencyKeyReused):
        await _create(store, una, 2, fingerprint="other")


async def test_a_key_is_its_callers_own(store: Store):
    una, rita = await make_principal(store), await make_principal(store, name="Rita")
    assert await _create(store, una, 1) == "made by 1"
    assert await _create(store, rita, 2) == "made by 2"


async def test_what_failed_has_left_nothing(store: Store):
    una = await make_principal(store)

    async def fail() -> None:
        async with store.writing() as uow:
            assert await earlier_answer(uow, una, "key", "same") is None
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()
    assert await _create(store, una, 2) == "made by 2"


async def test_a_key_is_free_again_after_a_day(store: Store):
    una = await make_principal(store)
    await _create(store, una, 1)
    async with store.writing() as uow:
        old = utc_now() - LIFETIME - timedelta(seconds=1)
        await uow.session.execute(update(IdempotentAnswer).values(created_at=old))
    assert await _create(store, una, 2, fingerprint="other") == "made by 2"
    async with store.writing() as uow:
        await uow.session.execute(update(IdempotentAnswer).values(created_at=old))
        await forget_old_answers(uow)
    async with store.reading() as uow:
        assert await uow.session.scalar(select(func.count()).select_from(IdempotentAnswer)) == 0
        assert await uow.session.scalar(select(func.count()).select_from(User)) == 1
