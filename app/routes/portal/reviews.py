"""Reviewing: what waits, the desk at which people decide, and what was decided."""

from __future__ import annotations

import uuid
from collections.abc import Mapping

import msgspec
from litestar import get, post
from litestar.params import FromPath
from litestar.response import Template

from app.domain.genres import GENRE_IDS
from app.domain.permissions import Permission, Principal
from app.domain.review_views import ClaimOut, DecisionIn, ReviewOut
from app.domain.reviews import NOTE_LIMIT, QueueOrder, QueueWish, ReviewState
from app.errors import ValidationFailed
from app.routes.deps import Caller, Parts, ReadUow, Uow, WebRequest
from app.routes.guards import needs
from app.routes.pages import page
from app.routes.portal.notices import AllNotices
from app.routes.portal.review_views import (
    BatchChoice,
    DeskPage,
    FiguresPage,
    HistoryPart,
    ReviewPage,
    ReviewsPage,
    WishPart,
    item_part,
)
from app.services import batches, jobs, review_figures, review_queue, reviews

_RECENT = 10
# In a form: none of the sixteen fits.
_NO_GENRE = "none"
# Of a page that closes: the item before the reviewer, the one fetched ahead, one that was undone, and some to spare.
_RELEASED_AT_ONCE = 8

_READ = needs(Permission.REVIEWS_READ)
_DECIDE = needs(Permission.REVIEWS_DECIDE)

ReviewId = FromPath[uuid.UUID]


# --- what a form or an address says


def _id(text: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def _wish(sent: Mapping[str, str]) -> QueueWish:
    """An old or mistyped address asks for more rather than for an error."""
    order, genre = sent.get("order", ""), sent.get("only_genre", "")
    return QueueWish(
        order=QueueOrder(order) if order in set(QueueOrder) else QueueOrder.LEAST_CERTAIN,
        genre=genre if genre in GENRE_IDS else None,
        batch_id=_id(sent.get("only_batch", "")),
    )


async def _form(request: WebRequest) -> dict[str, str]:
    """PostgreSQL stores no NUL; nobody types one either."""
    return {name: str(value).replace("\0", "") for name, value in (await request.form()).items()}


def _choice(sent: Mapping[str, str]) -> DecisionIn:
    genre, note = sent.get("genre"), sent.get("note", "").strip()
    if not genre or len(note) > NOTE_LIMIT:
        raise ValidationFailed
    return DecisionIn(genre=None if genre == _NO_GENRE else genre, note=note)


# --- what waits


@get("/reviews", opt=_READ)
async def overview(request: WebRequest, caller: Caller, read_uow: ReadUow, notices: AllNotices) -> Template:
    view = ReviewsPage(
        notices=notices,
        waiting=await review_queue.count_waiting(read_uow, QueueWish()),
        waiting_shown=review_queue.WAITING_SHOWN,
        by_genre=await review_queue.count_waiting_by_genre(read_uow),
        disputed=await review_queue.count_disputed(read_uow, caller),
        batches=[BatchChoice(*found) for found in await review_queue.waiting_batches(read_uow, caller)],
        recent=await reviews.recently_decided(read_uow, caller, _RECENT),
        may_decide=caller.may(Permission.REVIEWS_DECIDE),
    )
    return page(request, "reviews/overview.html", view)


# --- the desk


@get("/reviews/desk", opt=_READ)
async def desk(request: WebRequest, caller: Caller, read_uow: ReadUow, notices: AllNotices) -> Template:
    """An empty page: claiming an item changes something, so its script asks for one."""
    wish = _wish(request.query_params)
    batch_name = (await batches.get_batch(read_uow, caller, wish.batch_id)).name if wish.batch_id else None
    part = WishPart(wish=wish, batch_name=batch_name)
    view = DeskPage(notices=notices, part=part, may_decide=caller.may(Permission.REVIEWS_DECIDE))
    return page(request, "reviews/desk.html", view)


async def _item(request: WebRequest, caller: Principal, uow: Uow, claim: ClaimOut | None) -> Template:
    view = item_part(
        claim,
        waiting=await review_queue.count_waiting(uow, QueueWish()),
        waiting_shown=review_queue.WAITING_SHOWN,
        skipped=await review_queue.count_skipped(uow, caller) if claim is None else 0,
    )
    return page(request, "reviews/item.html", view)


async def _next(request: WebRequest, caller: Principal, uow: Uow, sent: Mapping[str, str]) -> Template:
    return await _item(request, caller, uow, await review_queue.claim_next(uow, caller, _wish(sent)))


@post("/reviews/next", opt=_DECIDE, status_code=200)
async def next_item(request: WebRequest, caller: Caller, uow: Uow) -> Template:
    return await _next(request, caller, uow, await _form(request))


@post("/reviews/{review_id:uuid}/decision", opt=_DECIDE, status_code=200)
async def decide(request: WebRequest, parts: Parts, caller: Caller, *, uow: Uow, review_id: ReviewId) -> Template:
    """Decides, and answers the next item."""
    sent = await _form(request)
    await reviews.decide(uow, caller, review_id, _choice(sent), defaults=parts.config.defaults)
    return await _next(request, caller, uow, sent)


@post("/reviews/{review_id:uuid}/skip", opt=_DECIDE, status_code=200)
async def skip(request: WebRequest, caller: Caller, uow: Uow, review_id: ReviewId) -> Template:
    await review_queue.skip(uow, caller, review_id)
    return await _next(request, caller, uow, await _form(request))


@post("/reviews/skipped", opt=_DECIDE, status_code=200)
async def bring_back_skipped(request: WebRequest, caller: Caller, uow: Uow) -> Template:
    await review_queue.bring_back_skipped(uow, caller)
    return await _next(request, caller, uow, await _form(request))


@post("/reviews/undo", opt=_DECIDE, status_code=200)
async def undo(request: WebRequest, caller: Caller, uow: Uow) -> Template:
    """Answers the item whose decision was taken back."""
    review = await reviews.undo(uow, caller)
    return await _item(request, caller, uow, await review_queue.claim_out(uow, caller, review))


# --- what the script of the desk says by itself


class Ahead(msgspec.Struct, frozen=True, kw_only=True):
    """The item after this one: its sound can be fetched meanwhile."""

    lease_id: uuid.UUID
    audio: str
    size_bytes: int


@post("/reviews/ahead", opt=_DECIDE, status_code=200)
async def ahead(request: WebRequest, caller: Caller, uow: Uow) -> Ahead | None:
    claim = await review_queue.claim_ahead(uow, caller, _wish(await _form(request)))
    if claim is None:
        return None
    audio = f"/api/v1/jobs/{claim.job.id}/audio"
    return Ahead(lease_id=claim.lease_id, audio=audio, size_bytes=claim.job.asset.size_bytes or 0)


@post("/reviews/{review_id:uuid}/renew", opt=_DECIDE, status_code=204)
async def renew(caller: Caller, uow: Uow, review_id: ReviewId) -> None:
    await review_queue.renew(uow, caller, review_id)


@post("/reviews/release", opt=_DECIDE, status_code=204)
async def release(request: WebRequest, caller: Caller, uow: Uow) -> None:
    """A page that closes gives back what it has."""
    leases = (await _form(request)).get("leases", "").split()[:_RELEASED_AT_ONCE]
    await review_queue.release_leases(uow, caller, [lease for text in leases if (lease := _id(text))])


# --- one review


def _history(caller: Principal, review: ReviewOut) -> HistoryPart:
    own = any(d.withdrawn_at is None and d.reviewer == caller.name for d in review.decisions)
    may_change = caller.may(Permission.REVIEWS_DECIDE) and (own or caller.may(Permission.REVIEWS_ARBITRATE))
    return HistoryPart(review=review, may_change=may_change and review.state is ReviewState.DECIDED)


@get("/reviews/{review_id:uuid}", opt=_READ)
async def review_page(
    request: WebRequest, caller: Caller, *, read_uow: ReadUow, notices: AllNotices, review_id: ReviewId
) -> Template:
    review = await reviews.get_review(read_uow, caller, review_id)
    job = await jobs.get_job(read_uow, caller, review.job_id)
    return page(request, "reviews/review.html", ReviewPage(notices=notices, part=_history(caller, review), job=job))


@post("/reviews/{review_id:uuid}/change", opt=_DECIDE, status_code=200)
async def change(request: WebRequest, parts: Parts, caller: Caller, *, uow: Uow, review_id: ReviewId) -> Template:
    """Decides on what is decided already; answers the new history."""
    choice = _choice(await _form(request))
    review = await reviews.decide(uow, caller, review_id, choice, defaults=parts.config.defaults)
    return page(request, "reviews/history.html", _history(caller, review))


# --- figures


@get("/reviews/figures", opt=_READ)
async def figures(request: WebRequest, read_uow: ReadUow, notices: AllNotices) -> Template:
    hours = await review_figures.decisions_by_hour(read_uow)
    model = await review_figures.model_figures(read_uow)
    view = FiguresPage(
        notices=notices,
        queue=await review_figures.queue_figures(read_uow),
        hours=hours,
        most_an_hour=max(1, *(hour.count for hour in hours)),
        model=model,
        darkest=max((count for row in model.confusion.values() for count in row.values()), default=1),
        reviewers=await review_figures.reviewer_figures(read_uow),
        decided_limit=review_figures.DECIDED_LIMIT,
    )
    return page(request, "reviews/figures.html", view)


HANDLERS = [
    overview,
    desk,
    next_item,
    decide,
    skip,
    bring_back_skipped,
    undo,
    ahead,
    renew,
    release,
    review_page,
    change,
    figures,
]
