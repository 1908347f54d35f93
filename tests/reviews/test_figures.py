"""The figures of reviewing, counted on each kind of server."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.db.models import Review, ReviewDecision
from app.domain.ids import utc_now
from app.services import review_figures


async def _decide_all(store, reviewer, labels):
    """Decide on the open items in the order of their jobs."""
    async with store.reading() as uow:
        ids = (await uow.session.scalars(select(Review.id).where(Review.state == "open").order_by(Review.id))).all()
    for review_id, label in zip(ids, labels, strict=True):
        await reviewer.decide(review_id, label)


async def test_the_queue_by_number_and_age(store, reviewers, doubtful):
    async with store.reading() as uow:
        assert (await review_figures.queue_figures(uow)).oldest_s is None
    for _ in range(3):
        await doubtful()
    async with store.writing() as uow:
        rows = (await uow.session.scalars(select(Review).order_by(Review.id))).all()
        for row, hours in zip(rows, (5, 2, 1), strict=True):
            row.created_at = utc_now() - timedelta(hours=hours)
    async with store.reading() as uow:
        found = await review_figures.queue_figures(uow)
    assert (found.open, found.disputed) == (3, 0)
    assert (found.oldest_s, found.median_s) == (pytest.approx(5 * 3600, abs=60), pytest.approx(2 * 3600, abs=60))


async def test_decisions_by_hour(store, reviewers, doubtful):
    rita, _, _ = reviewers
    for _ in range(4):
        await doubtful()
    await _decide_all(store, rita, ["opera"] * 4)
    this_hour = utc_now().replace(minute=0, second=0, microsecond=0)
    times = [
        this_hour,
        this_hour - timedelta(minutes=1),
        this_hour - timedelta(hours=23),
        this_hour - timedelta(days=2),
    ]
    async with store.writing() as uow:
        rows = (await uow.session.scalars(select(ReviewDecision).order_by(ReviewDecision.id))).all()
        for row, moment in zip(rows, times, strict=True):
            row.created_at = moment
    async with store.reading() as uow:
        hours = await review_figures.decisions_by_hour(uow)
    assert [hour.start for hour in hours] == [this_hour - timedelta(hours=back) for back in reversed(range(24))]
    assert [hour.count for hour in hours] == [1, *[0] * 21, 1, 1]


async def test_people_and_the_model(store, reviewers, doubtful, monkeypatch):
    rita, _, _ = reviewers
    for probability, genre in ((0.42, "opera"), (0.44, "opera"), (0.55, "opera"), (0.31, "solo")):
        await doubtful(probability, genre)
    await _decide_all(store, rita, ["opera", "solo", "opera", None])
    async with store.reading() as uow:
        found = await review_figures.model_figures(uow)
        monkeypatch.setattr(review_figures, "DECIDED_LIMIT", 1)
        last = await review_figures.model_figures(uow)
    assert (found.decided, found.agreed) == (4, 2)
    assert [(row.genre, row.proposed, row.agreed) for row in found.by_genre] == [("opera", 3, 2), ("solo", 1, 0)]
    assert found.confusion == {"opera": {"opera": 2, "solo": 1}, "solo": {None: 1}}
    assert [(each.lower, each.recordings, each.accuracy) for each in found.bins if each.recordings] == [
        (0.3, 1, 0.0),
        (0.4, 2, 0.5),
        (0.5, 1, 1.0),
    ]
    assert last.confusion == {"solo": {None: 1}}


async def test_reviewers_and_one_another(store, reviewers, doubtful):
    rita, omar, ada = reviewers
    for _ in range(4):
        await doubtful()
    async with store.reading() as uow:
        ids = (await uow.session.scalars(select(Review.id).order_by(Review.id))).all()
        assert (await review_figures.reviewer_figures(uow)).kappa is None
    for review_id, first, second in zip(ids, "aabb", "abbb", strict=True):
        names = {"a": "opera", "b": "solo"}
        await rita.decide(review_id, names[first], reviews_per_item=2)
        await omar.decide(review_id, names[second], reviews_per_item=2)
    await ada.decide(ids[1], "chamber")  # an arbiter has heard the others
    async with store.reading() as uow:
        found = await review_figures.reviewer_figures(uow)
    assert found.items == 4
    assert found.kappa == pytest.approx((0.75 - 34 / 64) / (1 - 34 / 64))
    [pair] = found.pairs
    assert ({pair.first, pair.second}, pair.items, pair.kappa) == ({"Rita", "Omar"}, 4, pytest.approx(0.5))


async def test_one_review_each_says_nothing_about_reviewers(store, reviewers, doubtful):
    rita, _, _ = reviewers
    await doubtful()
    await _decide_all(store, rita, ["opera"])
    async with store.writing() as uow:
        await uow.session.execute(update(ReviewDecision).values(note="x"))
        assert (await review_figures.reviewer_figures(uow)).items == 0
