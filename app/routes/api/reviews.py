"""Reviews over the API: what waits for a person, and what people decide."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated

from litestar import get, post
from litestar.params import FromPath, JSONBody, QueryParameter

from app.domain.jobs import ReviewReason
from app.domain.permissions import Permission
from app.domain.review_views import ClaimOut, DecisionIn, DecisionOut, NextOut, ReviewOut, ReviewPage
from app.domain.reviews import QueueOrder, QueueWish, ReviewState
from app.errors import CursorInvalid
from app.routes.api.examples import JOB, answer_of
from app.routes.deps import Caller, Parts, ReadUow, Uow
from app.routes.guards import needs
from app.routes.openapi import problems
from app.services import review_queue, reviews
from app.services.reviews import PAGE_LIMIT

_TAGS = ["reviews"]
_READ = needs(Permission.REVIEWS_READ)
_DECIDE = needs(Permission.REVIEWS_DECIDE)

ReviewId = FromPath[uuid.UUID]

_MOMENT = datetime(2026, 3, 2, 9, 45, 0, tzinfo=UTC)
_REVIEW = ReviewOut(
    id=uuid.UUID("01a1fc6c-3151-7c01-a9ef-0a51e3f0b2c4"),
    job_id=JOB.id,
    name="Morning",
    reason=ReviewReason.LOW_PROBABILITY,
    state=ReviewState.DECIDED,
    genre="soft_rock",
    probability=0.515625,
    batch_id=None,
    created_at=_MOMENT,
    lease_until=None,
    label="acoustic_pop",
    decided_at=_MOMENT,
    decisions=[
        DecisionOut(
            reviewer="Mira Sandoval",
            genre="acoustic_pop",
            note="no drums",
            arbitration=False,
            proposed_genre="soft_rock",
            proposed_probability=0.515625,
            created_at=_MOMENT,
            withdrawn_at=None,
        )
    ],
)
_CLAIM = ClaimOut(review=_REVIEW, lease_id=uuid.UUID("01a1fc6c-3f02-7d8f-8bfa-d7e25c0a9a11"), job=JOB)
_REVIEW_ANSWER = answer_of(_REVIEW, "The review")
_PAGE_ANSWER = answer_of(ReviewPage(items=[_REVIEW], next_cursor=str(_REVIEW.id)), "A page of reviews")
_NEXT_ANSWER = answer_of(NextOut(item=_CLAIM), "The next item, or null")


@get(
    "/reviews",
    opt=_READ,
    operation_id="listReviews",
    summary="List reviews",
    tags=_TAGS,
    responses={**_PAGE_ANSWER, **problems(400)},
)
async def list_reviews(
    read_uow: ReadUow,
    caller: Caller,
    review_state: Annotated[
        ReviewState | None, QueryParameter(name="state", description="Only reviews in this state")
    ] = None,
    *,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=PAGE_LIMIT, description="Reviews on a page")] = 50,
) -> ReviewPage:
    """Newest first. What others have decided is shown once a review is no longer open."""
    try:
        before = uuid.UUID(cursor) if cursor else None
    except ValueError:
        raise CursorInvalid from None
    return await reviews.list_reviews(read_uow, caller, state=review_state, cursor=before, limit=limit)


@get(
    "/reviews/{review_id:uuid}",
    opt=_READ,
    operation_id="getReview",
    summary="Get a review",
    tags=_TAGS,
    responses={**_REVIEW_ANSWER, **problems(404)},
)
async def get_review(read_uow: ReadUow, caller: Caller, review_id: ReviewId) -> ReviewOut:
    """One review with the history of its decisions."""
    return await reviews.get_review(read_uow, caller, review_id)


@post(
    "/reviews/next",
    opt=_DECIDE,
    status_code=200,
    operation_id="claimNextReview",
    summary="Claim the next item",
    tags=_TAGS,
    responses={**_NEXT_ANSWER, **problems(400)},
)
async def claim_next(
    uow: Uow,
    caller: Caller,
    order: Annotated[QueueOrder, QueryParameter(description="Which comes first")] = QueueOrder.LEAST_CERTAIN,
    *,
    genre: Annotated[
        str | None, QueryParameter(description="Only what the model took for this genre", max_length=64)
    ] = None,
    batch_id: Annotated[uuid.UUID | None, QueryParameter(description="Only recordings of this batch")] = None,
) -> NextOut:
    """Nobody else gets the item for five minutes. Until it is decided or released the same one comes again."""
    wish = QueueWish(order=order, genre=genre.replace("\0", "") if genre else None, batch_id=batch_id)
    return NextOut(item=await review_queue.claim_next(uow, caller, wish))


@post(
    "/reviews/{review_id:uuid}/decision",
    opt=_DECIDE,
    status_code=200,
    operation_id="decideReview",
    summary="Decide",
    tags=_TAGS,
    responses={**_REVIEW_ANSWER, **problems(400, 404, 409)},
)
async def decide(
    uow: Uow, parts: Parts, caller: Caller, *, review_id: ReviewId, data: JSONBody[DecisionIn]
) -> ReviewOut:
    """Decide on an item that nobody else has claimed, or change your own decision; administrators may change any."""
    return await reviews.decide(uow, caller, review_id, data, defaults=parts.config.defaults)


@post(
    "/reviews/{review_id:uuid}/renew",
    opt=_DECIDE,
    status_code=204,
    operation_id="renewReview",
    summary="Keep a claimed item",
    tags=_TAGS,
    responses=problems(404, 409),
)
async def renew(uow: Uow, caller: Caller, review_id: ReviewId) -> None:
    """All that you have claimed stays yours for another five minutes."""
    await review_queue.renew(uow, caller, review_id)


@post(
    "/reviews/{review_id:uuid}/release",
    opt=_DECIDE,
    status_code=204,
    operation_id="releaseReview",
    summary="Give a claimed item back",
    tags=_TAGS,
    responses=problems(404),
)
async def release(uow: Uow, caller: Caller, review_id: ReviewId) -> None:
    """The item goes back to the queue undecided."""
    await review_queue.release(uow, caller, review_id)


HANDLERS = [list_reviews, get_review, claim_next, decide, renew, release]
