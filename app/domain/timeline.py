"""A recording over time: which genre is heard where, in as few bars as a picture can show."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

from app.domain.genres import GENRES
from app.domain.results import Window

# More would be narrower than a pixel on a phone, and too many rows for a table.
BARS_LIMIT = 240
# Colours that a reader can tell apart.
COLOURS_LIMIT = 6


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a recording, its first genre and the mean probability of that genre in it."""

    start_s: float
    end_s: float
    genre: str
    probability: float

    @property
    def length_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True, slots=True)
class Share:
    """How much of the time a genre is the first. ``colour`` counts from 1; 0 is for all genres that are left."""

    genre: str
    share: float
    colour: int


@dataclass(frozen=True, slots=True)
class Timeline:
    """``bars`` follow the windows (or a few of them at a time), ``stretches`` join neighbours of one genre."""

    bars: list[Stretch]
    stretches: list[Stretch]
    shares: list[Share]

    @property
    def end_s(self) -> float:
        return self.bars[-1].end_s

    def colour_of(self, genre: str) -> int:
        return next(share.colour for share in self.shares if share.genre == genre)


def _bar(windows: Sequence[Window], end_s: float) -> Stretch:
    mean = [sum(column) / len(windows) for column in zip(*(window.probabilities for window in windows), strict=True)]
    best = max(range(len(mean)), key=mean.__getitem__)
    return Stretch(windows[0].start_s, end_s, GENRES[best].id, mean[best])


def _bars(windows: Sequence[Window]) -> list[Stretch]:
    """Windows may overlap; a bar ends where the next begins."""
    step = -(-len(windows) // BARS_LIMIT)
    groups = [windows[start : start + step] for start in range(0, len(windows), step)]
    ends = [min(group[-1].end_s, following[0].start_s) for group, following in itertools.pairwise(groups)]
    return [_bar(group, end_s) for group, end_s in zip(groups, [*ends, windows[-1].end_s], strict=True)]


def _joined(bars: Sequence[Stretch]) -> list[Stretch]:
    stretches: list[Stretch] = []
    for bar in bars:
        if stretches and stretches[-1].genre == bar.genre:
            last = stretches.pop()
            weight = last.length_s + bar.length_s or 1.0
            mean = (last.probability * last.length_s + bar.probability * bar.length_s) / weight
            stretches.append(Stretch(last.start_s, bar.end_s, bar.genre, mean))
        else:
            stretches.append(bar)
    return stretches


def _shares(bars: Sequence[Stretch]) -> list[Share]:
    seconds: dict[str, float] = {}
    for bar in bars:
        seconds[bar.genre] = seconds.get(bar.genre, 0.0) + bar.length_s
    total = sum(seconds.values()) or 1.0
    ordered = sorted(seconds.items(), key=lambda item: -item[1])
    return [
        Share(genre, spent / total, rank if rank <= COLOURS_LIMIT else 0)
        for rank, (genre, spent) in enumerate(ordered, 1)
    ]


def timeline(windows: Sequence[Window]) -> Timeline:
    """Of at least one window, in the order of time."""
    bars = _bars(windows)
    return Timeline(bars, _joined(bars), _shares(bars))
