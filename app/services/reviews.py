"""Reviews: which results people look at, what they decide, and what that amounts to."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from app.db.models import Job, Review, ReviewDecision
from app.db.repositories import jobs as job_repository
from app.db.repositories import reviews as repository
from app.db.repositories.reviews import reviewer_id_of
from app.db.uow import UnitOfWork
from app.domain.genres import BY_ID
from app.domain.ids import new_id, utc_now
from app.domain.jobs import EventType, ReviewReason, review_reason
from app.domain.permissions import Permission, Principal
from app.domain.preferences import Preferences
from app.domain.results import GenreResult
from app.domain.review_views import DecisionIn, DecisionOut, ReviewOut, ReviewPage
from app.domain.reviews import LEASE, UNDO_WINDOW, Outcome, ReviewState, Verdict, is_spot_check, outcome_of
from app.errors import GenreUnknown, NothingToUndo, ReviewDecided, ReviewNotFound, ReviewTaken
from app.services import audit, preferences
from app.services.events import record_event

PAGE_LIMIT = 100


# --- who enters the queue


def _reason(job: Job, result: GenreResult, current: Preferences) -> ReviewReason | None:
    reason = review_reason(result.top1.probability, audible=result.audible, threshold=current.review_threshold)
    if reason is None and is_spot_check(job.id, current.spot_check_share):
        return ReviewReason.SPOT_CHECK
    return reason


def _new_review(job: Job, reason: ReviewReason) -> Review:
    return Review(
        job_id=job.id, reason=reason, genre=job.genre or "", probability=job.probability or 0.0, batch_id=job.batch_id
    )


async def consider(uow: UnitOfWork, job: Job, result: GenreResult, current: Preferences) -> None:
    """After every new result of a job: put it into the queue if a person should look at it, or take it out.

    What people have decided stays, whatever the model says now.
    """
    review = await repository.lock_of_job(uow.session, job.id)
    reason = _reason(job, result, current)
    if review is None:
        if reason is not None:
            uow.session.add(_new_review(job, reason))
        return
    review.genre, review.probability = result.top1.genre, result.top1.probability
    if any(decision.withdrawn_at is None for decision in await repository.decisions_of(uow.session, [review.id])):
        return
    if reason is None and review.reason is not ReviewReason.REQUESTED:
        await uow.session.delete(review)
    else:
        review.reason = reason or review.reason


async def request_reviews(uow: UnitOfWork, principal: Principal, job_ids: Sequence[uuid.UUID]) -> int:
    """Send finished jobs to the queue, decided ones again; returns how many were not waiting there already."""
    visible = job_repository.visible_to(principal)
    sent = 0
    for job in await repository.done_jobs(uow.session, visible, job_ids):
        if job.review is None:
            uow.session.add(_new_review(job, ReviewReason.REQUESTED))
        elif job.review.state is ReviewState.DECIDED:
            await _reopen(uow, job.review)
        else:
            continue
        sent += 1
        job.label = None  # also one that was taken over from the same recording
        uow.changed_jobs.append(job.id)
        audit.record(uow, principal, "review.request", target_type="job", target_id=job.id)
    await uow.session.flush()  # so that callers read what they have asked for
    return sent


async def _reopen(uow: UnitOfWork, review: Review) -> None:
    await repository.withdraw_all(uow.session, review.id, utc_now())
    review.reason = ReviewReason.REQUESTED
    await _apply(uow, review, Outcome(ReviewState.OPEN), [])


# --- decisions


async def _lock(uow: UnitOfWork, principal: Principal, review_id: uuid.UUID) -> Review:
    review = await repository.lock(uow.session, principal, review_id)
    if review is None:
        raise ReviewNotFound
    return review


def _standing(decisions: Sequence[ReviewDecision]) -> list[ReviewDecision]:
    return [decision for decision in decisions if decision.withdrawn_at is None]


def _check_free(review: Review, reviewer_id: uuid.UUID) -> None:
    """A lease that has run out, and that nobody else has got since, is still as good as one."""
    leased = review.lease_until is not None and review.lease_until >= utc_now()
    if leased and review.claimed_by != reviewer_id:
        raise ReviewTaken


def _as_arbiter(principal: Principal, review: Review, own: ReviewDecision | None) -> bool:
    """Does a decision now settle what the others have decided?

    Raises:
        ReviewDecided: it is no longer, or not, this person's to decide.
    """
    arbiter = principal.may(Permission.REVIEWS_ARBITRATE)
    if review.state is ReviewState.DISPUTED:
        return arbiter or own is None
    if review.state is ReviewState.DECIDED and own is None:
        if not arbiter:
            raise ReviewDecided
        return True
    return own is not None and own.arbitration


async def decide(
    uow: UnitOfWork, principal: Principal, review_id: uuid.UUID, choice: DecisionIn, *, defaults: Preferences
) -> ReviewOut:
    """Decide on an item, or change one's decision; the same decision sent twice counts once.

    Raises:
        ReviewNotFound, GenreUnknown
        ReviewTaken: another reviewer has claimed it.
        ReviewDecided: it is decided, and the caller is neither its reviewer nor an administrator.
    """
    if choice.genre is not None and choice.genre not in BY_ID:
        raise GenreUnknown(genre=choice.genre[:64])
    review = await _lock(uow, principal, review_id)
    me = reviewer_id_of(principal)
    standing = _standing(await repository.decisions_of(uow.session, [review.id]))
    own = next((decision for decision in reversed(standing) if decision.reviewer_id == me), None)
    arbitration = _as_arbiter(principal, review, own)
    if own is None or arbitration != own.arbitration:
        _check_free(review, me)
    before = next((d for d in standing if d.reviewer_id == me and d.arbitration == arbitration), None)
    if before is None or (before.genre, before.note) != (choice.genre, choice.note):
        await _replace(uow, principal, review, before, choice=choice, arbitration=arbitration)
        standing = _standing(await repository.decisions_of(uow.session, [review.id]))
        await _settle(uow, review, standing, defaults)
    if review.claimed_by == me:  # who changes a decision must not take the lease of whoever reviews the item now
        review.claimed_by = review.claimed_at = review.lease_id = review.lease_until = None
    return (await views_of(uow, principal, [review]))[0]


async def _replace(
    uow: UnitOfWork,
    principal: Principal,
    review: Review,
    before: ReviewDecision | None,
    *,
    choice: DecisionIn,
    arbitration: bool,
) -> None:
    if before is not None:
        before.withdrawn_at = utc_now()
        await uow.session.flush()  # only one decision of a person may stand
    decision = ReviewDecision(
        review_id=review.id,
        reviewer_id=reviewer_id_of(principal),
        reviewer=principal.name,
        genre=choice.genre,
        note=choice.note,
        arbitration=arbitration,
        proposed_genre=review.genre,
        proposed_probability=review.probability,
    )
    uow.session.add(decision)
    audit.record(
        uow,
        principal,
        "review.change" if before is not None else "review.decide",
        target_type="review",
        target_id=review.id,
        details={"genre": choice.genre, "arbitration": arbitration} | ({"from": before.genre} if before else {}),
    )
    await uow.session.flush()  # what follows reads all decisions


async def _settle(uow: UnitOfWork, review: Review, standing: Sequence[ReviewDecision], defaults: Preferences) -> None:
    """What stands now amounts to an outcome. A changed decision does not reopen what was decided by fewer people."""
    needed = (await preferences.current(uow, defaults)).reviews_per_item
    if review.state is ReviewState.DECIDED:
        needed = min(needed, len(standing))
    verdicts = [Verdict(decision.genre, decision.arbitration) for decision in standing]
    await _apply(uow, review, outcome_of(verdicts, needed=needed), standing)


async def _apply(uow: UnitOfWork, review: Review, outcome: Outcome, standing: Sequence[ReviewDecision]) -> None:
    decided = outcome.state is ReviewState.DECIDED
    review.decided_by = "" if decided else repository.names_of(decision.reviewer_id for decision in standing)
    news = decided and (review.state is not ReviewState.DECIDED or review.label != outcome.label)
    if news or not decided:
        review.decided_at = utc_now() if decided else None
    review.state, review.label = outcome.state, outcome.label
    await repository.set_label(uow.session, review.job_id, outcome.label)
    uow.changed_jobs.append(review.job_id)
    if news:
        data = {"genre": outcome.label, "proposed_genre": review.genre, "proposed_probability": review.probability}
        await record_event(uow, EventType.REVIEW_DECIDED, job_id=review.job_id, data=data)


async def undo(uow: UnitOfWork, principal: Principal) -> Review:
    """Take the caller's last decision back; its item is the caller's again.

    Raises:
        NothingToUndo: there is none of the last hour.
        ReviewTaken: another reviewer has the item now.
        ReviewDecided: an arbiter has decided since.
    """
    me, now = reviewer_id_of(principal), utc_now()
    last = await repository.last_decision_of(uow.session, me, since=now - UNDO_WINDOW)
    review = await repository.lock(uow.session, principal, last.review_id) if last is not None else None
    if last is None or review is None:
        raise NothingToUndo
    _check_free(review, me)
    decisions = await repository.decisions_of(uow.session, [review.id])
    standing = [decision for decision in _standing(decisions) if decision is not last]
    if any(decision.arbitration for decision in standing):
        raise ReviewDecided
    last.withdrawn_at = now
    await _apply(uow, review, Outcome(ReviewState.DISPUTED if last.arbitration else ReviewState.OPEN), standing)
    review.claimed_by, review.lease_id, review.claimed_at, review.lease_until = me, new_id(), now, now + LEASE
    audit.record(
        uow, principal, "review.undo", target_type="review", target_id=review.id, details={"genre": last.genre}
    )
    await uow.session.flush()  # the item is shown right away
    return review


# --- looking


def _decision_out(decision: ReviewDecision) -> DecisionOut:
    return DecisionOut(
        reviewer=decision.reviewer,
        genre=decision.genre,
        note=decision.note,
        arbitration=decision.arbitration,
        proposed_genre=decision.proposed_genre,
        proposed_probability=decision.proposed_probability,
        created_at=decision.created_at,
        withdrawn_at=decision.withdrawn_at,
    )


def _review_out(review: Review, me: uuid.UUID, name: str, decisions: Sequence[ReviewDecision]) -> ReviewOut:
    """Independent means that nobody reads what the others have decided before they have decided too."""
    blind = review.state is ReviewState.OPEN
    return ReviewOut(
        id=review.id,
        job_id=review.job_id,
        name=name,
        reason=review.reason,
        state=review.state,
        genre=review.genre,
        probability=review.probability,
        batch_id=review.batch_id,
        created_at=review.created_at,
        lease_until=review.lease_until if review.claimed_by == me else None,
        label=review.label,
        decided_at=review.decided_at,
        decisions=[_decision_out(decision) for decision in decisions if not blind or decision.reviewer_id == me],
    )


async def views_of(uow: UnitOfWork, principal: Principal, reviews: Sequence[Review]) -> list[ReviewOut]:
    me = reviewer_id_of(principal)
    names = await repository.names_of_jobs(uow.session, [review.job_id for review in reviews])
    decisions = await repository.decisions_of(uow.session, [review.id for review in reviews])
    return [
        _review_out(review, me, names[review.job_id], [d for d in decisions if d.review_id == review.id])
        for review in reviews
    ]


async def get_review(uow: UnitOfWork, principal: Principal, review_id: uuid.UUID) -> ReviewOut:
    review = await repository.get(uow.session, principal, review_id)
    if review is None:
        raise ReviewNotFound
    return (await views_of(uow, principal, [review]))[0]


async def list_reviews(
    uow: UnitOfWork,
    principal: Principal,
    *,
    state: ReviewState | None = None,
    cursor: uuid.UUID | None = None,
    limit: int = 50,
) -> ReviewPage:
    """Newest first. One row more than asked for is read, to know whether there is a next page."""
    limit = max(1, min(limit, PAGE_LIMIT))
    found = await repository.find_page(uow.session, principal, state=state, before=cursor, limit=limit + 1)
    items = await views_of(uow, principal, found[:limit])
    return ReviewPage(items=items, next_cursor=str(items[-1].id) if len(found) > limit else None)


async def recently_decided(uow: UnitOfWork, principal: Principal, limit: int) -> list[ReviewOut]:
    """The last decided first."""
    return await views_of(uow, principal, await repository.recently_decided(uow.session, principal, limit))
