"""The figures of reviewing: how much waits, how fast people decide, and how well they agree."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import combinations

import msgspec

from app.db.repositories import review_figures as repository
from app.db.uow import UnitOfWork
from app.domain.agreement import cohen_kappa, fleiss_kappa
from app.domain.genres import GENRE_IDS
from app.domain.ids import utc_now
from app.domain.reliability import ReliabilityBin, calibration_error, reliability_bins
from app.domain.reviews import ReviewState

HOURS = 24
# What was decided last says how good the model is now; it also bounds the work.
DECIDED_LIMIT = 2000
_INDEPENDENT_LIMIT = 3000
_PAIRS_SHOWN = 10

_Answers = dict[uuid.UUID, dict[uuid.UUID, str | None]]


class HourCount(msgspec.Struct, frozen=True):
    """Decisions of the hour that begins at ``start``."""

    start: datetime
    count: int


class GenreAgreement(msgspec.Struct, frozen=True):
    """How often the model proposed a genre, and how often people agreed."""

    genre: str
    proposed: int
    agreed: int


class PairAgreement(msgspec.Struct, frozen=True):
    """Two people, the items that both judged by themselves, and Cohen's kappa over them."""

    first: str
    second: str
    items: int
    kappa: float | None


class QueueFigures(msgspec.Struct, frozen=True, kw_only=True):
    open: int
    disputed: int
    oldest_s: float | None
    median_s: float | None


class ModelFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Of the last ``decided`` items. ``confusion`` counts by proposal and label, None for no genre."""

    decided: int
    agreed: int
    by_genre: list[GenreAgreement]
    bins: list[ReliabilityBin]
    calibration_error: float | None
    confusion: dict[str, dict[str | None, int]]


class ReviewerFigures(msgspec.Struct, frozen=True, kw_only=True):
    """Of the items that at least two people judged by themselves; ``kappa`` is Fleiss'."""

    items: int
    kappa: float | None
    pairs: list[PairAgreement]


# --- the queue and the pace


async def queue_figures(uow: UnitOfWork) -> QueueFigures:
    counts = await repository.waiting_counts(uow.session)
    waiting, now = counts.get(ReviewState.OPEN, 0), utc_now()
    oldest = await repository.waiting_since(uow.session, behind=0)
    median = await repository.waiting_since(uow.session, behind=waiting // 2)
    return QueueFigures(
        open=waiting,
        disputed=counts.get(ReviewState.DISPUTED, 0),
        oldest_s=(now - oldest).total_seconds() if oldest else None,
        median_s=(now - median).total_seconds() if median else None,
    )


async def decisions_by_hour(uow: UnitOfWork) -> list[HourCount]:
    """The last 24 hours, this one last."""
    this_hour = utc_now().replace(minute=0, second=0, microsecond=0)
    starts = [this_hour - timedelta(hours=back) for back in reversed(range(HOURS))]
    counts = await repository.decisions_by_hour(uow.session, starts[0])
    return [HourCount(start, counts.get(int(start.astimezone(UTC).timestamp()) // 3600, 0)) for start in starts]


# --- people and the model


async def model_figures(uow: UnitOfWork) -> ModelFigures:
    decided = await repository.latest_decided(uow.session, DECIDED_LIMIT)
    bins = reliability_bins([(probability, genre == label) for genre, probability, label in decided])
    confusion: dict[str, dict[str | None, int]] = {}
    for (genre, label), count in Counter((genre, label) for genre, _, label in decided).items():
        confusion.setdefault(genre, {})[label] = count
    return ModelFigures(
        decided=len(decided),
        agreed=sum(genre == label for genre, _, label in decided),
        by_genre=[
            GenreAgreement(genre, sum(confusion[genre].values()), confusion[genre].get(genre, 0))
            for genre in GENRE_IDS
            if genre in confusion
        ],
        bins=[found for found in bins if found.recordings],
        calibration_error=calibration_error(bins) if decided else None,
        confusion=confusion,
    )


# --- people and one another


async def reviewer_figures(uow: UnitOfWork) -> ReviewerFigures:
    answers: _Answers = defaultdict(dict)
    names: dict[uuid.UUID, str] = {}
    for review_id, reviewer_id, name, genre in await repository.latest_independent(uow.session, _INDEPENDENT_LIMIT):
        answers[review_id][reviewer_id] = genre
        names[reviewer_id] = name
    items = [list(each.values()) for each in answers.values()]
    return ReviewerFigures(items=len(items), kappa=fleiss_kappa(items), pairs=_pairs(answers, names))


def _pairs(answers: _Answers, names: dict[uuid.UUID, str]) -> list[PairAgreement]:
    """Those who share the most items."""
    shared: dict[tuple[uuid.UUID, uuid.UUID], list[tuple[str | None, str | None]]] = defaultdict(list)
    for given in answers.values():
        for first, second in combinations(sorted(given), 2):
            shared[first, second].append((given[first], given[second]))
    most: Sequence[tuple[uuid.UUID, uuid.UUID]] = sorted(shared, key=lambda pair: -len(shared[pair]))[:_PAIRS_SHOWN]
    return [PairAgreement(names[a], names[b], len(shared[a, b]), cohen_kappa(shared[a, b])) for a, b in most]
