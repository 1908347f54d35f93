"""The queue: who gets what, in which order, and that nobody gets what another has."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest
from sqlalchemy import func, select, update

from app.db.models import ApiKey, Batch, Event, Job, Review
from app.domain.ids import utc_now
from app.domain.jobs import EventType
from app.domain.permissions import Principal, Role
from app.domain.reviews import LEASE, QueueOrder, QueueWish
from app.errors import ReviewNotFound, ReviewTaken
from app.services import review_queue, reviews
from tests.reviews.conftest import Reviewer
from tests.support.factories import make_principal


async def _expire_leases(store):
    async with store.writing() as uow:
        await uow.session.execute(update(Review).values(lease_until=utc_now() - timedelta(seconds=1)))


async def _take_all(reviewer, wish) -> list[str]:
    """Names in the order in which the queue gives them."""
    names = []
    while (found := await reviewer.next(wish)) is not None:
        names.append(found.review.name)
        await reviewer.decide(found.review.id)
    return names


async def test_least_certain_first_and_the_other_orders(store, reviewers, doubtful):
    rita, _, _ = reviewers
    jobs = [await doubtful(p, g) for p, g in ((0.5, "opera"), (0.3, "solo"), (0.4, "opera"))]
    async with store.writing() as uow:  # the title of all is the same
        for name, job in zip("abc", jobs, strict=True):
            row = (await uow.session.scalars(select(Job).where(Job.id == job.id))).unique().one()
            row.asset.title = name

    async def first(**wish) -> str:
        found = await rita.next(QueueWish(**wish))
        async with store.writing() as uow:
            await review_queue.release(uow, rita.principal, found.review.id)
        return found.review.name

    assert await first() == "b"
    assert await first(order=QueueOrder.OLDEST) == "a"
    assert await first(order=QueueOrder.GENRE) == "c"
    assert await first(genre="opera") == "c"
    assert await first(genre="opera", order=QueueOrder.OLDEST) == "a"
    assert await _take_all(rita, QueueWish(order=QueueOrder.GENRE)) == ["c", "a", "b"]


async def test_by_batch(store, reviewers, doubtful):
    rita, _, _ = reviewers
    spring, autumn = Batch(name="Spring"), Batch(name="Autumn")
    jobs = [await doubtful(0.3 + n / 100) for n in range(4)]
    async with store.writing() as uow:
        uow.session.add_all([spring, autumn])
        await uow.session.flush()
        for job, batch in zip(jobs, (spring, autumn, spring, autumn), strict=True):
            await uow.session.execute(update(Review).where(Review.job_id == job.id).values(batch_id=batch.id))
    found = await rita.next(QueueWish(batch_id=autumn.id))
    assert found.review.job_id == jobs[1].id
    async with store.writing() as uow:
        await review_queue.release(uow, rita.principal, found.review.id)
    order = []
    while (found := await rita.next(QueueWish(order=QueueOrder.BATCH))) is not None:
        order.append(found.review.job_id)
        await rita.decide(found.review.id)
    assert order == [jobs[n].id for n in (0, 2, 1, 3)]


async def test_two_reviewers_never_have_the_same_item(reviewers, doubtful):
    rita, omar, _ = reviewers
    wanted = {(await doubtful()).id for _ in range(12)}
    seen = []

    async def work(reviewer):
        while (found := await reviewer.next()) is not None:
            seen.append(found.review.job_id)
            await reviewer.decide(found.review.id)

    await asyncio.gather(work(rita), work(omar))
    assert len(seen) == len(set(seen)) == 12
    assert set(seen) == wanted


async def test_a_lease_keeps_others_away_until_it_ends(store, reviewers, doubtful):
    rita, omar, _ = reviewers
    await doubtful()
    found = await rita.next()
    assert found.review.lease_until > utc_now() + LEASE - timedelta(seconds=30)
    assert await omar.next() is None
    with pytest.raises(ReviewTaken):
        await omar.decide(found.review.id)
    await _expire_leases(store)
    async with store.writing() as uow:  # nobody has taken it meanwhile, so it is still hers
        await review_queue.renew(uow, rita.principal, found.review.id)
    assert await omar.next() is None
    await _expire_leases(store)
    assert await omar.next_id() == found.review.id
    with pytest.raises(ReviewTaken):
        async with store.writing() as uow:
            await review_queue.renew(uow, rita.principal, found.review.id)
    with pytest.raises(ReviewTaken):
        await rita.decide(found.review.id)


async def test_the_same_decision_twice_counts_once(store, reviewers, doubtful):
    rita, _, _ = reviewers
    await doubtful()
    item = await rita.next_id()
    await asyncio.gather(rita.decide(item, "opera"), rita.decide(item, "opera"))
    assert len((await rita.see(item)).decisions) == 1
    async with store.reading() as uow:
        query = select(func.count()).select_from(Event).where(Event.type == EventType.REVIEW_DECIDED)
        assert await uow.session.scalar(query) == 1


async def test_a_changed_and_an_undone_decision(store, reviewers, doubtful):
    rita, _, _ = reviewers
    job = await doubtful()
    item = await rita.next_id()
    for genre in ("opera", "solo", None):
        await rita.decide(item, genre)
    assert [d.withdrawn_at is None for d in (await rita.see(item)).decisions] == [False, False, True]
    assert await rita.undo() == item
    assert await rita.next_id() == item
    async with store.writing() as uow:
        assert await reviews.request_reviews(uow, rita.principal, [job.id]) == 0


async def test_the_same_item_comes_again_until_it_is_decided(reviewers, doubtful):
    rita, _, _ = reviewers
    await doubtful(0.3)
    await doubtful(0.4)
    first = await rita.next_id()
    assert await rita.next_id() == first
    await rita.decide(first)
    assert await rita.next_id() not in {first, None}


async def test_one_item_is_fetched_ahead_and_comes_next(store, reviewers, doubtful):
    rita, omar, _ = reviewers
    for n in range(3):
        await doubtful(0.3 + n / 100)

    async def ahead(reviewer):
        async with store.writing() as uow:
            return (await review_queue.claim_ahead(uow, reviewer.principal, QueueWish())).review.id

    first = await rita.next_id()
    second = await ahead(rita)
    assert await ahead(rita) == second
    assert await omar.next_id() not in {first, second}
    await rita.decide(first)
    assert await rita.next_id() == second


async def test_a_late_release_gives_nothing_of_a_newer_claim_back(store, reviewers, doubtful):
    rita, omar, _ = reviewers
    await doubtful()
    old = await rita.next()
    new = await rita.next()  # the page was loaded anew
    async with store.writing() as uow:
        await review_queue.release_leases(uow, rita.principal, [old.lease_id])
    assert await omar.next() is None
    async with store.writing() as uow:
        await review_queue.release_leases(uow, omar.principal, [new.lease_id])
    assert await omar.next() is None
    async with store.writing() as uow:
        await review_queue.release_leases(uow, rita.principal, [new.lease_id])
    assert await omar.next_id() == new.review.id
    with pytest.raises(ReviewNotFound):
        async with store.writing() as uow:
            await review_queue.release(uow, rita.principal, new.review.id)


async def test_what_is_skipped_goes_to_others_and_comes_back_on_request(store, reviewers, doubtful):
    rita, omar, _ = reviewers
    await doubtful()
    item = await rita.next_id()
    for _ in range(2):
        async with store.writing() as uow:
            await review_queue.skip(uow, rita.principal, item)
    assert await rita.next() is None
    async with store.writing() as uow:
        assert await review_queue.count_skipped(uow, rita.principal) == 1
        await review_queue.bring_back_skipped(uow, rita.principal)
    assert await rita.next_id() == item
    async with store.writing() as uow:
        await review_queue.skip(uow, rita.principal, item)
    assert await omar.next_id() == item
    await omar.decide(item)
    async with store.writing() as uow:
        assert await review_queue.count_skipped(uow, rita.principal) == 0


async def test_private_batches_are_reviewed_by_their_owner_and_admins(store, reviewers, doubtful):
    rita, omar, ada = reviewers
    job = await doubtful()
    async with store.writing() as uow:
        batch = Batch(name="Secret", private=True, user_id=rita.principal.user_id)
        uow.session.add(batch)
        await uow.session.flush()
        await uow.session.execute(update(Job).where(Job.id == job.id).values(batch_id=batch.id))
        await uow.session.execute(update(Review).where(Review.job_id == job.id).values(batch_id=batch.id))
    assert await omar.next() is None
    item = await rita.next_id()
    with pytest.raises(ReviewNotFound):
        await omar.see(item)
    with pytest.raises(ReviewNotFound):
        await omar.decide(item)
    async with store.writing() as uow:
        await review_queue.release(uow, rita.principal, item)
    assert await ada.next_id() == item


async def test_counting_stops_where_it_says_nothing_more(store, reviewers, doubtful, monkeypatch):
    for genre in ("opera", "opera", "solo"):
        await doubtful(0.4, genre)
    async with store.reading() as uow:
        assert await review_queue.count_waiting(uow, QueueWish()) == 3
        assert await review_queue.count_waiting(uow, QueueWish(genre="opera")) == 2
        monkeypatch.setattr(review_queue, "WAITING_SHOWN", 2)
        assert await review_queue.count_waiting(uow, QueueWish()) == 2


async def test_who_has_decided_is_kept_with_what_still_waits(store, reviewers, doubtful):
    """The queue leads reviewers past it by this alone."""
    rita, omar, _ = reviewers
    review_id = await doubtful() and await rita.next_id()

    async def decided_by() -> str:
        async with store.reading() as uow:
            return (await uow.session.scalars(select(Review.decided_by).where(Review.id == review_id))).one()

    await rita.decide(review_id, reviews_per_item=3)
    assert await decided_by() == rita.principal.user_id.hex
    assert await rita.next_id() is None
    await omar.decide(await omar.next_id(), reviews_per_item=3)
    assert await decided_by() == f"{rita.principal.user_id.hex} {omar.principal.user_id.hex}"
    await omar.undo()
    assert await decided_by() == rita.principal.user_id.hex
    await omar.decide(review_id, reviews_per_item=2)
    assert await decided_by() == ""


async def test_programs_review_too(store, doubtful):
    await doubtful()
    somebody = await make_principal(store)
    assert somebody.api_key_id is None
    async with store.writing() as uow:
        key = ApiKey(name="robot", prefix="emk_x", key_hash="0" * 64, webhook_secret="none", role=Role.REVIEWER)
        uow.session.add(key)
        await uow.session.flush()
        robot = Reviewer(store, Principal("robot", Role.REVIEWER, api_key_id=key.id))
    item = await robot.next_id()
    assert (await robot.decide(item)).decisions[0].reviewer == "robot"
