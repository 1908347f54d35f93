"""A result's numbers follow from its windows."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.genres import BY_ID, GENRES, LEVEL_NAMES, Tier, tier_of
from app.domain.jobs import ReviewReason, review_reason
from app.domain.results import GenreResult, ModelRef, Timings, Window, genre_result

TIMINGS = Timings(queued=1, fetch=1, decode=1, features=1, forward=1, total=5)
MODEL = ModelRef("m", "1", "0" * 64, starter=False)

_rows = st.lists(st.floats(0.001, 1), min_size=16, max_size=16).map(lambda row: [value / sum(row) for value in row])


def _result(rows: list[list[float]]) -> GenreResult:
    windows = [Window(index * 11.4, index * 11.4 + 11.4, row) for index, row in enumerate(rows)]
    return genre_result(windows, analysed_seconds=30, audible=True, timings_ms=TIMINGS, model=MODEL)


@given(st.lists(_rows, min_size=1, max_size=4))
def test_probabilities_are_the_mean_sorted_and_sum_to_one(rows: list[list[float]]):
    result = _result(rows)
    assert {score.genre for score in result.probabilities} == set(BY_ID)
    values = [score.probability for score in result.probabilities]
    assert values == sorted(values, reverse=True)
    assert sum(values) == pytest.approx(1)
    for score in result.probabilities:
        mean = sum(row[BY_ID[score.genre].index] for row in rows) / len(rows)
        assert score.probability == pytest.approx(mean)
    assert result.top1 == result.probabilities[0]
    for level, size in ((result.levels.level_1, 2), (result.levels.level_2, 9)):
        assert len(level) == size
        assert sum(score.probability for score in level) == pytest.approx(1)
    assert msgspec.convert(msgspec.to_builtins(result), GenreResult) == result


def test_coarser_classes_are_sums():
    row = [0.0] * 16
    row[0], row[3], row[15] = 0.2, 0.3, 0.5
    result = _result([row])
    level_1 = {score.genre: score.probability for score in result.levels.level_1}
    assert level_1 == {"classic": pytest.approx(0.5), "non_classic": pytest.approx(0.5)}
    assert result.levels.level_2[0].genre == "rock"


def test_every_class_has_a_name():
    assert {genre.level_1 for genre in GENRES} | {genre.level_2 for genre in GENRES} == set(LEVEL_NAMES)
    assert [genre.index for genre in GENRES] == list(range(16))


@pytest.mark.parametrize(
    ("probability", "tier"),
    [(0.81, Tier.HIGH), (0.80, Tier.MEDIUM), (0.50, Tier.MEDIUM), (0.49, Tier.LOW), (0.0, Tier.LOW), (1.0, Tier.HIGH)],
)
def test_tiers(probability: float, tier: Tier):
    assert tier_of(probability) is tier


@pytest.mark.parametrize(
    ("probability", "audible", "reason"),
    [
        (0.6, True, None),
        (0.599, True, ReviewReason.LOW_PROBABILITY),
        (0.99, False, ReviewReason.NOT_AUDIBLE),
    ],
)
def test_who_goes_to_review(probability: float, audible: bool, reason: ReviewReason | None):
    assert review_reason(probability, audible=audible, threshold=0.6) is reason
