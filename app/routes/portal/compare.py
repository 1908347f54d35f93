"""Two recordings side by side."""

from __future__ import annotations

import uuid

from litestar import get
from litestar.response import Template

from app.domain.jobs import JobState
from app.domain.library import LibraryFilter
from app.domain.permissions import Permission
from app.domain.results import GenreResult, overlap
from app.domain.views import JobOut
from app.errors import JobNotFound
from app.routes.deps import Caller, ReadUow, WebRequest
from app.routes.guards import needs
from app.routes.pages import page
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import ComparePage, Pair
from app.services.jobs import get_job
from app.services.library import list_recordings

_FOUND = 10
_TEXT_LIMIT = 200
_GENRES_OF_EACH = 5


def _id_of(request: WebRequest, name: str) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.query_params.get(name, ""))
    except ValueError:
        return None


def _pairs(left: GenreResult, right: GenreResult) -> list[Pair]:
    """The first genres of each, those first that either has most of."""
    ours = {score.genre: score.probability for score in left.probabilities}
    theirs = {score.genre: score.probability for score in right.probabilities}
    first = [score.genre for result in (left, right) for score in result.probabilities[:_GENRES_OF_EACH]]
    pairs = [
        Pair(genre=genre, left=ours.get(genre, 0.0), right=theirs.get(genre, 0.0)) for genre in dict.fromkeys(first)
    ]
    return sorted(pairs, key=lambda pair: -max(pair.left, pair.right))


def _both(left: JobOut, right: JobOut | None) -> tuple[GenreResult, GenreResult] | None:
    return (left.result, right.result) if right and left.result and right.result else None


@get("/compare", opt=needs(Permission.JOBS_READ))
async def compare_page(request: WebRequest, caller: Caller, read_uow: ReadUow, notices: AllNotices) -> Template:
    """``left`` and ``right`` are jobs; without ``right`` there is something to choose from."""
    left_id, right_id = _id_of(request, "left"), _id_of(request, "right")
    if left_id is None:
        raise JobNotFound
    left = await get_job(read_uow, caller, left_id)
    right = await get_job(read_uow, caller, right_id) if right_id else None
    text = request.query_params.get("text", "").strip()[:_TEXT_LIMIT]
    found = []
    if right is None:
        wanted = LibraryFilter(text=text, state=JobState.DONE)
        found = (await list_recordings(read_uow, caller, wanted, limit=_FOUND + 1)).items
    both = _both(left, right)
    view = ComparePage(
        notices=notices,
        left=left,
        right=right,
        text=text,
        found=[entry for entry in found if entry.id != left.id][:_FOUND],
        pairs=_pairs(*both) if both else [],
        overlap=overlap(*both) if both else None,
    )
    return page(request, "jobs/compare.html", view)
