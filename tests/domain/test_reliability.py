"""Reliability bins and calibration error, against numbers worked out by hand."""

from __future__ import annotations

import pytest

from app.domain.reliability import BINS, calibration_error, reliability_bins


def test_reliability_by_tenths():
    bins = reliability_bins([(0.41, True), (0.49, False), (1.0, True), (0.0, False), (0.9, True)])
    assert len(bins) == BINS
    assert [(each.lower, each.upper, each.recordings, each.accuracy) for each in bins if each.recordings] == [
        (0.0, 0.1, 1, 0.0),
        (0.4, 0.5, 2, 0.5),
        (0.9, 1.0, 2, 1.0),
    ]
    assert bins[4].probability == pytest.approx(0.45)
    assert calibration_error(bins) == pytest.approx((0 + 2 * 0.05 + 2 * 0.05) / 5)


def test_answers_that_mean_what_they_say_have_no_error():
    assert calibration_error(reliability_bins([(0.5, True), (0.5, False), (1.0, True)])) == 0


def test_where_nothing_was_answered():
    assert calibration_error(reliability_bins([])) == 0
