"""The queue before the reviewers: each has items of their own for as long as the page is open."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

from app.db.models import Review
from app.db.repositories import reviews as repository
from app.db.repositories.reviews import reviewer_id_of
from app.db.uow import UnitOfWork
from app.domain.genres import GENRE_IDS
from app.domain.ids import new_id, utc_now
from app.domain.permissions import Principal
from app.domain.review_views import ClaimOut
from app.domain.reviews import LEASE, WAITING_STATES, QueueWish
from app.errors import ReviewNotFound, ReviewTaken
from app.services import jobs, reviews

# One before the reviewer, and one whose sound is fetched meanwhile.
_AHEAD = 2
# A number that says "many" without counting all of them.
WAITING_SHOWN = 1000
_BATCHES_LOOKED_AT = 50


async def claim_out(uow: UnitOfWork, principal: Principal, review: Review) -> ClaimOut:
    """A claimed item as its reviewer sees it."""
    [view] = await reviews.views_of(uow, principal, [review])
    assert review.lease_id is not None
    return ClaimOut(review=view, lease_id=review.lease_id, job=await jobs.get_job(uow, principal, review.job_id))


def _give(review: Review, principal: Principal, *, anew: bool) -> Review:
    now = utc_now()
    review.claimed_by, review.lease_id, review.lease_until = reviewer_id_of(principal), new_id(), now + LEASE
    if anew:
        review.claimed_at = now
    return review


async def _claim_free(uow: UnitOfWork, principal: Principal, wish: QueueWish) -> Review | None:
    """What people disagree about first: it has cost the most already."""
    for state in WAITING_STATES:
        review = await repository.find_free(uow.session, principal, state, wish, now=utc_now())
        if review is not None:
            return _give(review, principal, anew=True)
    return None


async def claim_next(uow: UnitOfWork, principal: Principal, wish: QueueWish) -> ClaimOut | None:
    """The item that the caller has already, else the next free one; None if there is none.

    Nobody else gets it before the lease ends. An answer that was lost costs nothing: the same item comes again.
    """
    held = await repository.find_held(uow.session, principal, wish, now=utc_now(), limit=1)
    review = _give(held[0], principal, anew=False) if held else await _claim_free(uow, principal, wish)
    if review is None:
        return None
    await uow.session.flush()  # it is shown right away
    return await claim_out(uow, principal, review)


async def claim_ahead(uow: UnitOfWork, principal: Principal, wish: QueueWish) -> ClaimOut | None:
    """The item after the one before the caller, so that its sound can be fetched; None if there is none."""
    held: Sequence[Review] = await repository.find_held(uow.session, principal, wish, now=utc_now(), limit=_AHEAD)
    review = held[1] if len(held) == _AHEAD else await _claim_free(uow, principal, wish)
    if review is None:
        return None
    await uow.session.flush()  # likewise
    return await claim_out(uow, principal, review)


async def renew(uow: UnitOfWork, principal: Principal, review_id: uuid.UUID) -> None:
    """Keep this item, and the one fetched ahead, for another five minutes.

    Raises:
        ReviewTaken: the caller no longer has it.
    """
    me, now = reviewer_id_of(principal), utc_now()
    if not await repository.renew(uow.session, me, review_id, now=now, lease_until=now + LEASE):
        raise ReviewTaken


async def release_leases(uow: UnitOfWork, principal: Principal, lease_ids: Sequence[uuid.UUID]) -> None:
    """Give back what was claimed with these leases; one that has been replaced by a newer claim gives nothing back."""
    await repository.release(uow.session, reviewer_id_of(principal), repository.with_lease(lease_ids))


async def release(uow: UnitOfWork, principal: Principal, review_id: uuid.UUID) -> None:
    """Give an item back undecided.

    Raises:
        ReviewNotFound: there is none of that id that the caller has.
    """
    if not await repository.release(uow.session, reviewer_id_of(principal), repository.with_id(review_id)):
        raise ReviewNotFound


async def skip(uow: UnitOfWork, principal: Principal, review_id: uuid.UUID) -> None:
    """Pass an item over: it goes to others, and comes to the caller again only when they ask for it."""
    review = await repository.get(uow.session, principal, review_id)
    if review is None:
        raise ReviewNotFound
    me = reviewer_id_of(principal)
    await repository.add_skip(uow.session, review_id, me)
    await repository.release(uow.session, me, repository.with_id(review_id))


async def count_skipped(uow: UnitOfWork, principal: Principal) -> int:
    return await repository.count_skipped(uow.session, reviewer_id_of(principal))


async def bring_back_skipped(uow: UnitOfWork, principal: Principal) -> None:
    await repository.forget_skips(uow.session, reviewer_id_of(principal))


async def count_waiting(uow: UnitOfWork, wish: QueueWish) -> int:
    """How many wait for a decision; counts no further than ``WAITING_SHOWN``."""
    return await repository.count_waiting(uow.session, wish, limit=WAITING_SHOWN)


async def count_waiting_by_genre(uow: UnitOfWork) -> dict[str, int]:
    """The same for each genre that the model has proposed; genres with nothing to review are left out."""
    counts = await repository.count_waiting_by_genre(uow.session, GENRE_IDS, limit=WAITING_SHOWN)
    return {genre: count for genre, count in zip(GENRE_IDS, counts, strict=True) if count}


async def count_disputed(uow: UnitOfWork, principal: Principal) -> int:
    """How many wait for an arbiter; counts no further than ``WAITING_SHOWN``."""
    return await repository.count_disputed(uow.session, principal, limit=WAITING_SHOWN)


async def waiting_batches(uow: UnitOfWork, principal: Principal) -> Sequence[tuple[uuid.UUID, str]]:
    """Id and name of the latest batches that have something to review."""
    return await repository.waiting_batches(uow.session, principal, among=_BATCHES_LOOKED_AT)
