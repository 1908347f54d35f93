"""Reviewers, and results for them to look at."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import msgspec
import pytest

from app.db.uow import Store
from app.domain.permissions import Principal, Role
from app.domain.preferences import Preferences
from app.domain.review_views import ClaimOut, DecisionIn, ReviewOut
from app.domain.reviews import QueueWish
from app.domain.views import JobOut
from app.services import review_queue, reviews
from tests.support.factories import PREFERENCES, finish_job, make_job, make_principal, make_result

ANY = QueueWish()
Doubtful = Callable[..., Awaitable[JobOut]]


class Reviewer:
    """Somebody at the queue; each call is a transaction of its own."""

    def __init__(self, store: Store, principal: Principal) -> None:
        self.store = store
        self.principal = principal

    async def next(self, wish: QueueWish = ANY) -> ClaimOut | None:
        async with self.store.writing() as uow:
            return await review_queue.claim_next(uow, self.principal, wish)

    async def next_id(self, wish: QueueWish = ANY):
        found = await self.next(wish)
        return found.review.id if found else None

    async def decide(self, review_id, genre: str | None = "opera", note: str = "", **preferences: object) -> ReviewOut:
        choice = DecisionIn(genre=genre, note=note)
        async with self.store.writing() as uow:
            return await reviews.decide(uow, self.principal, review_id, choice, defaults=preferred(**preferences))

    async def undo(self):
        async with self.store.writing() as uow:
            return (await reviews.undo(uow, self.principal)).id

    async def see(self, review_id) -> ReviewOut:
        async with self.store.reading() as uow:
            return await reviews.get_review(uow, self.principal, review_id)


def preferred(**changes: object) -> Preferences:
    """What an admin has set."""
    return msgspec.structs.replace(PREFERENCES, **changes)


@pytest.fixture
async def reviewers(store: Store) -> tuple[Reviewer, Reviewer, Reviewer]:
    roles = (("Rita", Role.REVIEWER), ("Omar", Role.REVIEWER), ("Ada", Role.ADMIN))
    rita, omar, ada = [Reviewer(store, await make_principal(store, role, name)) for name, role in roles]
    return rita, omar, ada


@pytest.fixture
async def doubtful(store: Store) -> Doubtful:
    """Makes a finished job; by default one that goes to review."""
    una = await make_principal(store)

    async def make(probability: float = 0.4, genre: str = "soft_rock", name: str = "track.mp3") -> JobOut:
        job = await make_job(store, una, name)
        await finish_job(store, job.id, make_result(genre, probability))
        return job

    return make
