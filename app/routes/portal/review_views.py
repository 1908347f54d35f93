"""What the pages of reviewing show."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from urllib.parse import urlencode

import msgspec

from app.domain.genres import GENRES
from app.domain.results import Window
from app.domain.review_views import ClaimOut, ReviewOut
from app.domain.reviews import QueueOrder, QueueWish
from app.domain.views import JobOut
from app.errors import N_
from app.i18n import LANGUAGES, reader_for
from app.routes.portal.views import PortalPage
from app.routes.portal.words import genre_name
from app.services.review_figures import HourCount, ModelFigures, QueueFigures, ReviewerFigures

ORDERS: dict[QueueOrder, str] = {
    QueueOrder.LEAST_CERTAIN: N_("The least certain"),
    QueueOrder.OLDEST: N_("The oldest"),
    QueueOrder.BATCH: N_("Batch by batch"),
    QueueOrder.GENRE: N_("Genre by genre"),
}
# So many windows have room for their names; more are told by stretches in which nothing changes.
_WINDOWS_SHOWN = 12
# More buttons than this on one waveform help nobody.
_STRETCHES_SHOWN = 60

# How the Chinese names are typed where no input method is at hand.
_PINYIN = {
    "symphony": "jiaoxiangyue",
    "opera": "geju xiqu",
    "solo": "duzou",
    "chamber": "shineiyue",
    "pop_vocal_ballad": "liuxing shuqing bale",
    "adult_contemporary": "chengren shidai",
    "teen_pop": "qingshaonian liuxing",
    "contemporary_dance_pop": "dangdai liuxing wuqu",
    "dance_pop": "liuxing wuqu",
    "classic_indie_pop": "jingdian duli liuxing",
    "chamber_cabaret_and_art_pop": "shinei kabalai yishu liuxing",
    "soul_or_rnb": "linghunyue jiezou bulusi",
    "adult_alternative_rock": "chengren linglei yaogun",
    "uplifting_anthemic_rock": "lizhi yaogun",
    "soft_rock": "man yaogun",
    "acoustic_pop": "yuansheng liuxing",
}


def search_words(genre_id: str) -> str:
    """By what a genre is found: its name in every language, its id, and the Chinese name as it is spelt."""
    names = [reader_for(language).gettext(genre_name(genre_id)) for language in LANGUAGES]
    return " ".join([*names, genre_id.replace("_", " "), _PINYIN[genre_id]]).lower()


SEARCH_WORDS: dict[str, str] = {genre.id: search_words(genre.id) for genre in GENRES}


class Stretch(msgspec.Struct, frozen=True):
    """A window, or several in a row in which the model heard the same genre; the probability is the mean over them."""

    start_s: float
    end_s: float
    genre: str
    probability: float


def _best(window: Window) -> tuple[str, float]:
    probability = max(window.probabilities)
    return GENRES[window.probabilities.index(probability)].id, probability


def stretches_of(windows: Sequence[Window]) -> list[Stretch]:
    if len(windows) <= _WINDOWS_SHOWN:
        return [Stretch(window.start_s, window.end_s, *_best(window)) for window in windows]
    found: list[Stretch] = []
    lengths: list[int] = []
    for window in windows:
        genre, probability = _best(window)
        if found and found[-1].genre == genre:
            lengths[-1] += 1
            mean = found[-1].probability + (probability - found[-1].probability) / lengths[-1]
            found[-1] = Stretch(found[-1].start_s, window.end_s, genre, mean)
        else:
            found.append(Stretch(window.start_s, window.end_s, genre, probability))
            lengths.append(1)
    return found


class WishPart(msgspec.Struct, frozen=True, kw_only=True):
    """Which items, and in which order; ``batch_name`` is that of the one batch that is wanted, if so."""

    wish: QueueWish
    batch_name: str | None = None

    def parameters(self) -> str:
        wanted = {"order": self.wish.order, "only_genre": self.wish.genre, "only_batch": self.wish.batch_id}
        return urlencode({name: str(value) for name, value in wanted.items() if value})


class ItemPart(msgspec.Struct, frozen=True, kw_only=True):
    """The item before a reviewer, or that there is none. ``waiting`` counts no further than ``waiting_shown``.

    ``span_s`` is what the waveform shows: from the start to the end of what was analysed.
    """

    claim: ClaimOut | None
    waiting: int
    waiting_shown: int
    skipped: int
    span_s: float
    stretches: list[Stretch]
    search_words: dict[str, str] = msgspec.field(default_factory=lambda: SEARCH_WORDS)


def span_s_of(job: JobOut) -> float:
    assert job.result is not None
    return max(1.0, job.result.analysed_seconds, min(job.result.windows[-1].end_s, job.asset.duration_s or 0.0))


def item_part(claim: ClaimOut | None, *, waiting: int, waiting_shown: int, skipped: int) -> ItemPart:
    span_s, stretches = 0.0, list[Stretch]()
    if claim is not None and claim.job.result is not None:
        span_s = span_s_of(claim.job)
        stretches = [stretch for stretch in stretches_of(claim.job.result.windows) if stretch.start_s < span_s]
    return ItemPart(
        claim=claim,
        waiting=waiting,
        waiting_shown=waiting_shown,
        skipped=skipped,
        span_s=span_s,
        stretches=stretches[:_STRETCHES_SHOWN],
    )


class DeskPage(PortalPage, frozen=True, kw_only=True):
    """The page of a reviewer; its script asks for the first item."""

    part: WishPart
    may_decide: bool
    orders: dict[QueueOrder, str] = msgspec.field(default_factory=lambda: ORDERS)


class BatchChoice(msgspec.Struct, frozen=True):
    """A batch that has something to review."""

    id: uuid.UUID
    name: str


class ReviewsPage(PortalPage, frozen=True, kw_only=True):
    """What waits, and what was decided last. The counts by genre stop at ``waiting_shown`` too."""

    waiting: int
    waiting_shown: int
    by_genre: dict[str, int]
    disputed: int
    batches: list[BatchChoice]
    recent: list[ReviewOut]
    may_decide: bool
    orders: dict[QueueOrder, str] = msgspec.field(default_factory=lambda: ORDERS)


class HistoryPart(msgspec.Struct, frozen=True, kw_only=True):
    """One review and all its decisions. ``may_change``: the asking person may decide on it now."""

    review: ReviewOut
    may_change: bool


class ReviewPage(PortalPage, frozen=True, kw_only=True):
    part: HistoryPart
    job: JobOut


class FiguresPage(PortalPage, frozen=True, kw_only=True):
    """``most_an_hour`` and ``darkest`` are the largest numbers of the chart and of the confusion matrix, at least 1."""

    queue: QueueFigures
    hours: list[HourCount]
    most_an_hour: int
    model: ModelFigures
    darkest: int
    reviewers: ReviewerFigures
    decided_limit: int
