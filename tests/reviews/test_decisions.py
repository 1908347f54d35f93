"""Decisions: what they amount to, how they are changed, and what stays of them."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.db.models import AuditEntry, Event, Job, Review, ReviewDecision
from app.domain.ids import new_id, utc_now
from app.domain.jobs import EventType, ReviewReason
from app.domain.reviews import Outcome, ReviewState, Verdict, is_spot_check, outcome_of
from app.errors import GenreUnknown, NothingToUndo, ReviewDecided, ReviewNotFound, ReviewTaken
from app.services import jobs, review_queue, reviews
from app.services.analyses import record_result
from app.services.jobs import JobFilter
from tests.reviews.conftest import preferred
from tests.support.factories import ADMIN, FACTS, claim, make_job, make_principal, make_result


@pytest.fixture
def dsn(sqlite_dsn: str) -> str:
    """One kind of server: what can differ between them is in test_queue.py."""
    return sqlite_dsn


async def _label(store, job_id) -> str | None:
    async with store.reading() as uow:
        return await uow.session.scalar(select(Job.label).where(Job.id == job_id))


async def _events(store) -> list[dict]:
    async with store.reading() as uow:
        query = select(Event.data).where(Event.type == EventType.REVIEW_DECIDED).order_by(Event.id)
        return list((await uow.session.scalars(query)).all())


async def _actions(store) -> list[str]:
    async with store.reading() as uow:
        query = select(AuditEntry.action).where(AuditEntry.action.startswith("review."))
        return list((await uow.session.scalars(query.order_by(AuditEntry.id))).all())


# --- the rules


@pytest.mark.parametrize(
    ("genres", "needed", "outcome"),
    [
        ([], 1, Outcome(ReviewState.OPEN)),
        (["opera"], 1, Outcome(ReviewState.DECIDED, "opera")),
        ([None], 1, Outcome(ReviewState.DECIDED, None)),
        (["opera"], 2, Outcome(ReviewState.OPEN)),
        (["opera", "opera"], 2, Outcome(ReviewState.DECIDED, "opera")),
        (["opera", "solo"], 2, Outcome(ReviewState.DISPUTED)),
        (["opera", "opera"], 3, Outcome(ReviewState.OPEN)),
        (["opera", "solo", "opera"], 3, Outcome(ReviewState.DECIDED, "opera")),
        (["opera", "solo", None], 3, Outcome(ReviewState.DISPUTED)),
    ],
)
def test_what_decisions_amount_to(genres, needed, outcome):
    assert outcome_of([Verdict(genre) for genre in genres], needed=needed) == outcome


def test_an_arbiter_has_the_last_word():
    verdicts = [Verdict("opera"), Verdict("solo", arbitration=True), Verdict("opera"), Verdict(None, arbitration=True)]
    assert outcome_of(verdicts[:3], needed=3) == Outcome(ReviewState.DECIDED, "solo")
    assert outcome_of(verdicts, needed=9) == Outcome(ReviewState.DECIDED, None)


def test_a_spot_check_is_a_share_of_the_jobs_and_always_the_same():
    ids = [new_id() for _ in range(4000)]
    assert not any(is_spot_check(job_id, 0.0) for job_id in ids)
    assert all(is_spot_check(job_id, 1.0) for job_id in ids)
    drawn = [job_id for job_id in ids if is_spot_check(job_id, 0.1)]
    assert 280 < len(drawn) < 530  # six standard deviations around 400
    assert drawn == [job_id for job_id in ids if is_spot_check(job_id, 0.1)]


# --- one reviewer


async def test_a_decision_is_the_label_and_is_told(store, reviewers, doubtful, outside):
    rita, _, _ = reviewers
    job = await doubtful(0.4)
    item = await rita.next_id()
    done = await rita.decide(item, "solo", "guitar alone")
    assert (done.state, done.label, done.lease_until) == (ReviewState.DECIDED, "solo", None)
    [kept] = done.decisions
    assert (kept.reviewer, kept.genre, kept.note, kept.proposed_genre) == ("Rita", "solo", "guitar alone", "soft_rock")
    assert kept.proposed_probability == pytest.approx(0.4)
    assert abs(kept.created_at - utc_now()) < timedelta(minutes=1)
    assert await _label(store, job.id) == "solo"
    [event] = await _events(store)
    assert (event["genre"], event["proposed_genre"]) == ("solo", "soft_rock")
    assert job.id in outside.changed_jobs
    assert await _actions(store) == ["review.decide"]
    async with store.reading() as uow:
        assert (await jobs.get_job(uow, ADMIN, job.id)).review is None
        assert (await jobs.list_jobs(uow, ADMIN, JobFilter(needs_review=True))).items == []


async def test_no_genre_may_fit(store, reviewers, doubtful):
    rita, _, _ = reviewers
    job = await doubtful()
    done = await rita.decide(await rita.next_id(), None)
    assert (done.state, done.label) == (ReviewState.DECIDED, None)
    assert await _label(store, job.id) is None


async def test_a_decision_can_be_changed_and_its_history_stays(store, reviewers, doubtful):
    rita, omar, ada = reviewers
    job = await doubtful()
    item = await rita.next_id()
    await rita.decide(item, "opera")
    with pytest.raises(ReviewDecided):
        await omar.decide(item, "solo")
    await rita.decide(item, "chamber", "second thoughts")
    assert await _label(store, job.id) == "chamber"
    changed = await ada.decide(item, "solo")
    assert [(d.genre, d.withdrawn_at is None, d.arbitration) for d in changed.decisions] == [
        ("opera", False, False),
        ("chamber", True, False),
        ("solo", True, True),
    ]
    assert await _label(store, job.id) == "solo"
    assert [event["genre"] for event in await _events(store)] == ["opera", "chamber", "solo"]
    assert await _actions(store) == ["review.decide", "review.change", "review.decide"]
    await ada.decide(item, "opera")
    assert await _label(store, job.id) == "opera"


async def test_impossible_decisions_are_refused(store, reviewers, doubtful):
    rita, _, _ = reviewers
    await doubtful()
    item = await rita.next_id()
    with pytest.raises(GenreUnknown, match="polka"):
        await rita.decide(item, "polka")
    with pytest.raises(ReviewNotFound):
        await rita.decide(uuid.uuid4())
    assert (await rita.see(item)).decisions == []


# --- undo


async def test_undo_gives_the_item_back_and_takes_the_label_away(store, reviewers, doubtful):
    rita, omar, _ = reviewers
    first, second = await doubtful(0.3), await doubtful(0.4)
    for _ in range(2):
        await rita.decide(await rita.next_id())
    for job in (second, first):
        item = await rita.undo()
        found = await rita.see(item)
        assert (found.job_id, found.state, found.label) == (job.id, ReviewState.OPEN, None)
        assert found.lease_until is not None
        assert [d.withdrawn_at is None for d in found.decisions] == [False]
        assert await _label(store, job.id) is None
    assert await omar.next() is None
    with pytest.raises(NothingToUndo):
        await rita.undo()
    with pytest.raises(NothingToUndo):
        await omar.undo()
    assert (await rita.decide(item, "solo")).label == "solo"


async def test_an_old_decision_is_not_undone_by_a_slip(store, reviewers, doubtful):
    rita, _, _ = reviewers
    await doubtful()
    await rita.decide(await rita.next_id())
    async with store.writing() as uow:
        await uow.session.execute(update(ReviewDecision).values(created_at=utc_now() - timedelta(minutes=61)))
    with pytest.raises(NothingToUndo):
        await rita.undo()


async def test_undo_does_not_pull_an_item_from_under_another(reviewers, doubtful):
    rita, omar, _ = reviewers
    await doubtful()
    item = await rita.next_id()
    await rita.decide(item, reviews_per_item=2)
    assert await omar.next_id() == item
    with pytest.raises(ReviewTaken):
        await rita.undo()


# --- several reviewers


async def test_independent_reviews_hide_the_earlier_ones(store, reviewers, doubtful):
    rita, omar, ada = reviewers
    job = await doubtful()
    item = await rita.next_id()
    open_still = await rita.decide(item, "opera", reviews_per_item=2)
    assert open_still.state is ReviewState.OPEN
    assert len(open_still.decisions) == 1
    assert await rita.next() is None
    assert await _label(store, job.id) is None
    assert (await omar.see(item)).decisions == (await ada.see(item)).decisions == []
    assert await omar.next_id() == item
    agreed = await omar.decide(item, "opera", reviews_per_item=2)
    assert (agreed.state, agreed.label, len(agreed.decisions)) == (ReviewState.DECIDED, "opera", 2)
    assert len(await _events(store)) == 1


async def test_a_change_leaves_the_lease_of_the_next_reviewer_alone(reviewers, doubtful):
    rita, omar, ada = reviewers
    await doubtful()
    item = await rita.next_id()
    await rita.decide(item, "opera", reviews_per_item=2)
    assert await omar.next_id() == item
    await rita.decide(item, "solo", reviews_per_item=2)
    assert await ada.next() is None
    assert (await omar.see(item)).lease_until is not None
    assert (await omar.decide(item, "solo", reviews_per_item=2)).label == "solo"


async def test_disagreement_goes_to_an_arbiter(store, reviewers, doubtful):
    rita, omar, ada = reviewers
    job = await doubtful(0.5)
    other = await doubtful(0.1)
    item = (await _review_of(store, job)).id
    await rita.decide(item, "opera", reviews_per_item=2)
    disputed = await omar.decide(item, "solo", reviews_per_item=2)
    assert (disputed.state, disputed.label) == (ReviewState.DISPUTED, None)
    assert (await rita.next()).review.job_id == other.id
    found = await ada.next()
    assert (found.review.id, [d.genre for d in found.review.decisions]) == (item, ["opera", "solo"])
    settled = await ada.decide(item, "chamber", reviews_per_item=2)
    assert (settled.state, settled.label, settled.decisions[-1].arbitration) == (ReviewState.DECIDED, "chamber", True)
    with pytest.raises(ReviewDecided):
        await rita.undo()


async def test_an_arbiter_may_take_the_last_word_back(reviewers, doubtful):
    rita, omar, ada = reviewers
    await doubtful()
    item = await rita.next_id()
    for reviewer, genre in ((rita, "opera"), (omar, "solo"), (ada, "chamber")):
        assert await reviewer.next_id() == item
        await reviewer.decide(item, genre, reviews_per_item=2)
    assert await ada.undo() == item
    assert (await ada.see(item)).state is ReviewState.DISPUTED
    assert (await ada.decide(item, "opera", reviews_per_item=2)).label == "opera"


async def test_a_third_reviewer_may_arbitrate_and_an_admin_even_in_their_own_dispute(store, reviewers, doubtful):
    rita, omar, ada = reviewers
    first, second = await doubtful(), await doubtful()
    for job, pair in ((first, (omar, ada)), (second, (rita, ada))):
        item = (await _review_of(store, job)).id
        await pair[0].decide(item, "opera", reviews_per_item=2)
        await pair[1].decide(item, "solo", reviews_per_item=2)
    assert (await rita.next()).review.job_id == first.id
    assert (await rita.decide((await _review_of(store, first)).id, "opera", reviews_per_item=2)).label == "opera"
    assert (await ada.next()).review.job_id == second.id
    assert (await ada.decide((await _review_of(store, second)).id, "solo", reviews_per_item=2)).label == "solo"


async def test_giving_way_ends_a_dispute_and_more_reviewers_later_reopen_nothing(store, reviewers, doubtful):
    rita, omar, _ = reviewers
    job = await doubtful()
    item = (await _review_of(store, job)).id
    await rita.decide(item, "opera", reviews_per_item=2)
    await omar.decide(item, "solo", reviews_per_item=2)
    assert (await rita.decide(item, "solo", reviews_per_item=2)).label == "solo"
    assert (await rita.decide(item, "solo", "sure", reviews_per_item=3)).state is ReviewState.DECIDED


async def _review_of(store, job) -> Review:
    async with store.reading() as uow:
        return (await uow.session.scalars(select(Review).where(Review.job_id == job.id))).one()


# --- who enters the queue


async def _record(store, job, result, **preferences):
    async with store.writing() as uow:
        taken = await claim(uow, job.id)
    async with store.writing() as uow:
        await record_result(uow, taken, result, FACTS, defaults=preferred(**preferences))


async def test_silent_uncertain_and_sampled_results_enter(store, reviewers):
    una = await make_principal(store)
    wanted = {
        ReviewReason.LOW_PROBABILITY: (make_result(probability=0.59), {}),
        ReviewReason.NOT_AUDIBLE: (make_result(probability=0.99, audible=False), {}),
        ReviewReason.SPOT_CHECK: (make_result(probability=0.99), {"spot_check_share": 1.0}),
        None: (make_result(probability=0.6), {}),
    }
    for reason, (result, preferences) in wanted.items():
        job = await make_job(store, una)
        await _record(store, job, result, **preferences)
        async with store.reading() as uow:
            assert (await jobs.get_job(uow, ADMIN, job.id)).review is reason


async def _analyse_again(store, job, result):
    async with store.writing() as uow:
        await uow.session.execute(update(Job).where(Job.id == job.id).values(state="queued"))
    await _record(store, job, result)


async def test_a_new_analysis_takes_out_what_nobody_has_touched_and_keeps_what_people_decided(
    store, reviewers, doubtful
):
    rita, _, _ = reviewers
    job, decided = await doubtful(), await doubtful(0.3)
    await rita.decide((await _review_of(store, decided)).id, "solo")
    for each in (job, decided):
        await _analyse_again(store, each, make_result("opera", 0.95))
    assert await rita.next() is None
    kept = await rita.see((await _review_of(store, decided)).id)
    assert (kept.state, kept.label, kept.genre) == (ReviewState.DECIDED, "solo", "opera")
    assert kept.decisions[0].proposed_genre == "soft_rock"
    await _analyse_again(store, job, make_result("opera", 0.2))
    assert (await rita.next()).review.probability == pytest.approx(0.2)


async def test_anything_finished_can_be_sent_to_review(store, reviewers, doubtful):
    rita, _, ada = reviewers
    sure, waiting, decided = await doubtful(0.9), await doubtful(0.4), await doubtful(0.3)
    unfinished = await make_job(store, ada.principal)
    await rita.decide((await _review_of(store, decided)).id, "solo")
    ids = [job.id for job in (sure, waiting, decided, unfinished)]
    async with store.writing() as uow:
        assert await reviews.request_reviews(uow, ada.principal, ids) == 2
    assert await _label(store, decided.id) is None
    assert (await _review_of(store, sure)).reason is ReviewReason.REQUESTED
    again = await _review_of(store, decided)
    assert (again.state, again.reason) == (ReviewState.OPEN, ReviewReason.REQUESTED)
    assert (await rita.decide(again.id, "opera")).decisions[0].genre == "solo"


async def test_lists_come_in_pages(store, reviewers, doubtful):
    rita, _, _ = reviewers
    made = [await doubtful() for _ in range(3)]
    await rita.decide(await rita.next_id())
    async with store.reading() as uow:
        first = await reviews.list_reviews(uow, rita.principal, limit=2)
        rest = await reviews.list_reviews(uow, rita.principal, cursor=uuid.UUID(first.next_cursor))
        waiting = await reviews.list_reviews(uow, rita.principal, state=ReviewState.OPEN)
        recent = await reviews.recently_decided(uow, rita.principal, 5)
        skipped = await review_queue.count_skipped(uow, rita.principal)
    assert [item.job_id for item in [*first.items, *rest.items]] == [job.id for job in reversed(made)]
    assert rest.next_cursor is None
    assert len(waiting.items) == 2
    assert [item.label for item in recent] == ["opera"]
    assert skipped == 0
