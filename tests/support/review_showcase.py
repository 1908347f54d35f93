"""A portal at which people have reviewed for a day: decisions, disagreements, and the figures of them."""

from __future__ import annotations

import random

import msgspec
from sqlalchemy import select

from app.db.models import Review, ReviewDecision
from app.db.uow import Store
from app.domain.genres import GENRE_IDS
from app.domain.permissions import Role
from app.domain.review_views import DecisionIn
from app.domain.reviews import ReviewState
from app.services import reviews
from tests.support.factories import PREFERENCES, finish_job, make_job, make_principal, make_result

_NAMES = ("Mira Sandoval", "Jonas Vik")


async def review_some(store: Store, count: int, *, twice: int = 0) -> None:
    """Finished recordings that people have decided on, ``twice`` of them two people each. The same at every call."""
    draw = random.Random(7)
    una = await make_principal(store)
    people = [await make_principal(store, Role.REVIEWER, name) for name in _NAMES]
    arbiter = await make_principal(store, Role.ADMIN, "Ada Brandt")
    for number in range(count):
        genre, probability = draw.choice(GENRE_IDS), draw.uniform(0.15, 0.95)
        job = await make_job(store, una, f"reel {number:03}.mp3")
        await finish_job(store, job.id, make_result(genre, probability))
        async with store.writing() as uow:
            await reviews.request_reviews(uow, una, [job.id])
            review_id = (await uow.session.scalars(select(Review.id).where(Review.job_id == job.id))).one()
        pair = people if number < twice else people[:1]
        for person in pair:
            label = genre if draw.random() < probability + 0.05 else draw.choice((*GENRE_IDS, None))
            async with store.writing() as uow:
                needed = msgspec.structs.replace(PREFERENCES, reviews_per_item=len(pair))
                outcome = await reviews.decide(uow, person, review_id, DecisionIn(genre=label), defaults=needed)
        if outcome.state is ReviewState.DISPUTED:
            async with store.writing() as uow:
                await reviews.decide(uow, arbiter, review_id, DecisionIn(genre=genre), defaults=PREFERENCES)


async def review_pages(store: Store) -> dict[str, str]:
    """The pages of reviewing by what they show, with something on each of them."""
    await review_some(store, 150, twice=60)
    async with store.reading() as uow:
        query = select(ReviewDecision.review_id).where(ReviewDecision.arbitration).limit(1)
        arbitrated = await uow.session.scalar(query)
    pages = {"reviews": "/reviews", "review-desk": "/reviews/desk", "review-figures": "/reviews/figures"}
    return pages | {"review": f"/reviews/{arbitrated}"}
