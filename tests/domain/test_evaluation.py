"""The figures of an evaluation, against numbers worked out by hand."""

from __future__ import annotations

import pytest

from app.domain.evaluation import evaluate
from app.domain.genres import GENRE_IDS


def row(genre: int, probability: float) -> list[float]:
    rest = (1 - probability) / 15
    return [probability if index == genre else rest for index in range(16)]


def test_figures_worked_out_by_hand():
    """Three symphonies, of which one is taken for an opera; one opera."""
    found = evaluate([row(0, 0.95), row(0, 0.55), row(1, 0.75), row(1, 0.85)], [0, 0, 0, 1])
    assert (found.recordings, found.accuracy) == (4, 0.75)
    symphony, opera = found.genres[0], found.genres[1]
    assert (symphony.genre, symphony.recordings, symphony.precision) == ("symphony", 3, 1.0)
    assert symphony.recall == pytest.approx(2 / 3)
    assert symphony.f1 == pytest.approx(0.8)
    assert (opera.recordings, opera.precision, opera.recall) == (1, 0.5, 1.0)
    assert found.macro_f1 == pytest.approx((0.8 + 2 / 3) / 2)
    assert found.confusion[0][:2] == [2, 1]
    assert sum(map(sum, found.confusion)) == 4
    # |0.95 - 1| + |0.55 - 1| + |0.75 - 0| + |0.85 - 1|, a quarter each
    assert found.calibration_error == pytest.approx((0.05 + 0.45 + 0.75 + 0.15) / 4)


def test_genres_that_were_not_heard_do_not_count():
    found = evaluate([row(3, 0.9)], [3])
    assert found.macro_f1 == 1.0
    assert [figures.recordings for figures in found.genres] == [int(genre == GENRE_IDS[3]) for genre in GENRE_IDS]


def test_nothing_heard_is_no_evaluation():
    with pytest.raises(ValueError, match="nothing was heard"):
        evaluate([], [])
