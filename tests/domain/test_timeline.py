"""A recording over time, in as few bars as a picture can show."""

from __future__ import annotations

import pytest

from app.domain.genres import GENRE_IDS
from app.domain.results import ModelRef, Timings, Window, close_second, genre_result, overlap
from app.domain.timeline import BARS_LIMIT, COLOURS_LIMIT, timeline
from tests.support.factories import make_probabilities, make_result


def _windows(*genres: str, hop_s: float = 11.4, length_s: float = 11.4) -> list[Window]:
    return [
        Window(number * hop_s, number * hop_s + length_s, make_probabilities(genre, 0.7))
        for number, genre in enumerate(genres)
    ]


def _result(row):
    return genre_result(
        [Window(0, 11.4, row)],
        analysed_seconds=11.4,
        audible=True,
        timings_ms=Timings(0, 0, 0, 0, 0, 0),
        model=ModelRef("m", "1", "0", starter=False),
    )


def test_neighbours_of_one_genre_are_one_stretch():
    line = timeline(_windows("opera", "opera", "solo", "opera"))
    assert [(part.genre, round(part.start_s, 1), round(part.end_s, 1)) for part in line.stretches] == [
        ("opera", 0.0, 22.8),
        ("solo", 22.8, 34.2),
        ("opera", 34.2, 45.6),
    ]
    assert [part.probability for part in line.stretches] == pytest.approx([0.7] * 3)
    assert [(share.genre, share.share, share.colour) for share in line.shares] == [
        ("opera", pytest.approx(0.75), 1),
        ("solo", pytest.approx(0.25), 2),
    ]


def test_windows_that_overlap_give_bars_that_do_not():
    line = timeline(_windows("opera", "solo", "opera", hop_s=5.7))
    assert [bar.end_s for bar in line.bars[:-1]] == [bar.start_s for bar in line.bars[1:]]
    assert line.end_s == pytest.approx(22.8)
    assert sum(share.share for share in line.shares) == pytest.approx(1)


@pytest.mark.parametrize("count", [1, BARS_LIMIT, BARS_LIMIT + 1, 3158])
def test_long_recordings_have_no_more_bars_than_a_picture_shows(count):
    line = timeline(_windows(*(["chamber", "soft_rock"] * count)[:count]))
    assert 1 <= len(line.bars) <= BARS_LIMIT
    assert line.end_s == pytest.approx(count * 11.4)
    assert sum(bar.length_s for bar in line.bars) == pytest.approx(count * 11.4)


def test_only_the_most_frequent_genres_have_a_colour_of_their_own():
    line = timeline(_windows(*GENRE_IDS, "solo"))
    colours = [share.colour for share in line.shares]
    assert colours == [*range(1, COLOURS_LIMIT + 1), *[0] * (len(GENRE_IDS) - COLOURS_LIMIT)]
    assert line.shares[0].genre == "solo"
    assert line.colour_of("solo") == 1


def test_two_genres_that_are_about_as_likely():
    row = [0.0] * 16
    row[0], row[1], row[2] = 0.45, 0.40, 0.15
    second = close_second(_result(row))
    assert second is not None
    assert second.genre == GENRE_IDS[1]
    assert close_second(make_result("opera", 0.9)) is None


def test_overlap_goes_from_nothing_to_the_same():
    first = [1.0, *[0.0] * 15]
    assert overlap(_result(first), _result(first)) == pytest.approx(1)
    assert overlap(_result(first), _result(first[::-1])) == pytest.approx(0)
    half = [0.5, 0.5, *[0.0] * 14]
    assert overlap(_result(first), _result(half)) == overlap(_result(half), _result(first)) == pytest.approx(0.5)
