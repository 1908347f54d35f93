"""How good a model's answers are, told by recordings whose genre is known."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

from app.domain.genres import GENRE_IDS
from app.domain.reliability import ReliabilityBin, Share, calibration_error, reliability_bins, share


class GenreFigures(msgspec.Struct, frozen=True, kw_only=True):
    """``recordings``: how many of this genre were heard. The shares are 0 where there is nothing to divide by."""

    genre: str
    recordings: int
    precision: Share
    recall: Share
    f1: Share


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """What came of listening to labelled recordings.

    ``confusion``: (true genre, answer) in the order of ``GENRE_IDS``. ``calibration_error``: the mean distance between
    probability and accuracy over the bins, weighted by their recordings.
    """

    recordings: int
    accuracy: Share
    macro_f1: Annotated[float, Meta(ge=0, le=1, description="Mean over the genres that were heard")]
    calibration_error: Share
    genres: list[GenreFigures]
    confusion: list[list[int]]
    reliability: list[ReliabilityBin]


def evaluate(probabilities: Sequence[Sequence[float]], labels: Sequence[int]) -> Evaluation:
    """``probabilities``: (recordings, 16), each row's sum 1. ``labels``: the true class of each.

    Raises:
        ValueError: there is no recording.
    """
    if not labels:
        raise ValueError("nothing was heard")
    answers = [max(range(len(row)), key=row.__getitem__) for row in probabilities]
    confusion = _confusion(labels, answers)
    genres = [_figures(confusion, genre) for genre in range(len(GENRE_IDS))]
    heard = [figures.f1 for figures in genres if figures.recordings]
    certain = [
        (row[answer], answer == label) for row, answer, label in zip(probabilities, answers, labels, strict=True)
    ]
    reliability = reliability_bins(certain)
    return Evaluation(
        recordings=len(labels),
        accuracy=sum(right for _, right in certain) / len(certain),
        macro_f1=sum(heard) / len(heard),
        calibration_error=calibration_error(reliability),
        genres=genres,
        confusion=confusion,
        reliability=reliability,
    )


def _confusion(labels: Sequence[int], answers: Sequence[int]) -> list[list[int]]:
    counts = [[0] * len(GENRE_IDS) for _ in GENRE_IDS]
    for label, answer in zip(labels, answers, strict=True):
        counts[label][answer] += 1
    return counts


def _figures(confusion: list[list[int]], genre: int) -> GenreFigures:
    right, heard, answered = confusion[genre][genre], sum(confusion[genre]), sum(row[genre] for row in confusion)
    return GenreFigures(
        genre=GENRE_IDS[genre],
        recordings=heard,
        precision=share(right, answered),
        recall=share(right, heard),
        f1=share(2 * right, heard + answered),
    )
