"""Whether probabilities mean what they say: of the answers given with a probability of 0.8, 80 % ought to be right.

After Guo et al., "On calibration of modern neural networks" (2017).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import msgspec
from msgspec import Meta

# Ten equal steps from 0 to 1.
BINS = 10
Share = Annotated[float, Meta(ge=0, le=1)]


class ReliabilityBin(msgspec.Struct, frozen=True, kw_only=True):
    """Answers whose probability is in [lower, upper); ``probability`` and ``accuracy`` are their means, 0 if there are none."""

    lower: Share
    upper: Share
    recordings: int
    probability: Share
    accuracy: Share


def reliability_bins(answers: Sequence[tuple[float, bool]]) -> list[ReliabilityBin]:
    """``answers``: the probability of each, in [0, 1], and whether it was right."""
    members: list[list[tuple[float, bool]]] = [[] for _ in range(BINS)]
    for probability, right in answers:
        members[min(int(probability * BINS), BINS - 1)].append((probability, right))
    return [
        ReliabilityBin(
            lower=number / BINS,
            upper=(number + 1) / BINS,
            recordings=len(found),
            probability=share(sum(probability for probability, _ in found), len(found)),
            accuracy=share(sum(right for _, right in found), len(found)),
        )
        for number, found in enumerate(members)
    ]


def calibration_error(bins: Sequence[ReliabilityBin]) -> float:
    """The expected calibration error, in [0, 1]: the mean distance of probability and accuracy over the answers."""
    distances = (found.recordings * abs(found.probability - found.accuracy) for found in bins)
    return share(sum(distances), sum(found.recordings for found in bins))


def share(part: float, whole: float) -> float:
    """0 where there is nothing to divide by."""
    return part / whole if whole else 0.0
