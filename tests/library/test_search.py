"""What recordings are found by."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.search import TERM_LENGTH, query_terms, sort_name, terms_of


def _finds(query: str, *names: str | None) -> bool:
    terms = terms_of(*names)
    return all(any(term.startswith(wanted) for term in terms) for wanted in query_terms(query))


@pytest.mark.parametrize(
    ("query", "name"),
    [
        ("gala", "2019_gala_take3.mp3"),
        ("take", "2019_gala_take3.mp3"),
        ("TAKE3 2019", "2019_gala_take3.mp3"),
        ("anthem", "BrandAnthemV2.wav"),
        ("brandanthem", "BrandAnthemV2.wav"),
        ("brucke", "Brücke.mp3"),
        ("Brücke", "BRUCKE.mp3"),
        ("广告", "夏日广告 – 终混.mp3"),
        ("告", "夏日广告 – 终混.mp3"),
        ("终混 夏", "夏日广告 – 终混.mp3"),
        ("ＡＢＣ", "abc.mp3"),
        ("서울", "안녕서울.mp3"),
        ("", "anything"),
        ("!?", "anything"),
    ],
)
def test_found(query: str, name: str):
    assert _finds(query, name)


@pytest.mark.parametrize(
    ("query", "name"), [("gale", "gala.mp3"), ("广混", "夏日广告 – 终混.mp3"), ("gala rock", "gala.mp3")]
)
def test_not_found(query: str, name: str):
    assert not _finds(query, name)


def test_every_name_counts():
    assert _finds("morning larks mp3", "track.mp3", "Morning", "The Larks")
    assert _finds("track", "track.mp3", None, None)


@given(st.text(max_size=255))
def test_a_recording_is_found_by_its_own_name(name: str):
    terms = terms_of(name)
    assert all(0 < len(term) <= TERM_LENGTH for term in terms)
    assert len(terms) >= 120 or _finds(name, name)


def test_names_are_ordered_without_regard_to_how_they_are_written():
    names = ["Zebra", "äpfel", "Apple", "zebra crossing"]
    assert sorted(names, key=lambda name: sort_name(None, name)) == ["äpfel", "Apple", "Zebra", "zebra crossing"]
    assert sort_name("Title", "file.mp3") == "title"
