"""What a finished genre job says. The same Structs are stored with the job and sent by the API."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Annotated

import msgspec

from app.domain.genres import GENRES, Tier, tier_of

Probability = Annotated[float, msgspec.Meta(ge=0, le=1, description="From 0 to 1")]


class GenreScore(msgspec.Struct, frozen=True):
    """A class and the probability the model gives it."""

    genre: Annotated[str, msgspec.Meta(description="Id of the genre or coarser class", examples=["soft_rock"])]
    probability: Probability


class Levels(msgspec.Struct, frozen=True):
    """Sums over the coarser labels of the data set, most probable first."""

    level_1: Annotated[list[GenreScore], msgspec.Meta(description="Two classes")]
    level_2: Annotated[list[GenreScore], msgspec.Meta(description="Nine classes")]


class Window(msgspec.Struct, frozen=True):
    """One analysed stretch of the recording (about 11.4 s)."""

    start_s: Annotated[float, msgspec.Meta(ge=0, description="Start within the recording, in seconds")]
    end_s: Annotated[float, msgspec.Meta(ge=0, description="End within the recording, in seconds")]
    probabilities: Annotated[list[float], msgspec.Meta(description="16 values in the order of `GET /api/v1/genres`")]


class Timings(msgspec.Struct, frozen=True):
    """Where the time of a job went, in milliseconds. ``total`` runs from the end of the upload to the result."""

    queued: float
    fetch: float
    decode: float
    features: float
    forward: float
    total: float


class ModelRef(msgspec.Struct, frozen=True):
    """The model that gave a result. ``starter`` marks the built-in demonstration model."""

    name: str
    version: str
    sha256: str
    starter: bool


class GenreResult(msgspec.Struct, frozen=True):
    """Result of a finished job of kind ``genre``."""

    top1: GenreScore
    tier: Tier
    probabilities: Annotated[list[GenreScore], msgspec.Meta(description="All 16 genres, most probable first; sum 1")]
    levels: Levels
    windows: Annotated[list[Window], msgspec.Meta(description="In time; empty in lists, events and webhooks")]
    analysed_seconds: Annotated[float, msgspec.Meta(ge=0, description="How much of the recording was listened to")]
    audible: Annotated[bool, msgspec.Meta(description="False: silence or next to it; the job goes to review")]
    timings_ms: Timings
    model: ModelRef


# Two genres whose probabilities differ by less than this are about as likely: the recording may mix styles.
_CLOSE = 0.15


def close_second(result: GenreResult) -> GenreScore | None:
    """The second genre, if it is about as likely as the first."""
    first, second = result.probabilities[:2]
    return second if first.probability - second.probability < _CLOSE else None


def overlap(one: GenreResult, other: GenreResult) -> float:
    """What two results have in common: the sum of the smaller probability of each genre, 1 for the same result."""
    theirs = {score.genre: score.probability for score in other.probabilities}
    return min(1.0, sum(min(score.probability, theirs.get(score.genre, 0.0)) for score in one.probabilities))


def _sorted_scores(scores: dict[str, float]) -> list[GenreScore]:
    ordered = sorted(scores.items(), key=lambda item: -item[1])
    return [GenreScore(name, min(1.0, max(0.0, value))) for name, value in ordered]


def coarser_levels(probabilities: Sequence[float]) -> Levels:
    """Sum 16 probabilities, in the order of GENRES, over the coarser classes."""
    level_1: dict[str, float] = defaultdict(float)
    level_2: dict[str, float] = defaultdict(float)
    for genre, probability in zip(GENRES, probabilities, strict=True):
        level_1[genre.level_1] += probability
        level_2[genre.level_2] += probability
    return Levels(_sorted_scores(level_1), _sorted_scores(level_2))


def genre_result(
    windows: Sequence[Window],
    *,
    analysed_seconds: float,
    audible: bool,
    timings_ms: Timings,
    model: ModelRef,
) -> GenreResult:
    """Put a result together: its probabilities are the mean over the windows, top-1 is the largest of them."""
    columns = zip(*(window.probabilities for window in windows), strict=True)
    mean = [sum(column) / len(windows) for column in columns]
    scores = _sorted_scores({genre.id: value for genre, value in zip(GENRES, mean, strict=True)})
    return GenreResult(
        top1=scores[0],
        tier=tier_of(scores[0].probability),
        probabilities=scores,
        levels=coarser_levels(mean),
        windows=list(windows),
        analysed_seconds=analysed_seconds,
        audible=audible,
        timings_ms=timings_ms,
        model=model,
    )
