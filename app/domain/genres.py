"""The sixteen genres of the public ccmusic ``music_genre`` checkpoint, in the order of its output neurons.

Level 1 (two classes) and level 2 (nine classes) are the data set's own coarser labels; the probability of a coarser class
is the sum over its members.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass

from app.errors import N_


@dataclass(frozen=True, slots=True)
class Genre:
    """``index`` is the output neuron, ``name`` a message id, ``level_1`` and ``level_2`` are ids of coarser classes."""

    index: int
    id: str
    name: str
    level_2: str
    level_1: str


GENRES: tuple[Genre, ...] = (
    Genre(0, "symphony", N_("Symphony"), "symphony", "classic"),
    Genre(1, "opera", N_("Opera"), "opera", "classic"),
    Genre(2, "solo", N_("Solo"), "solo", "classic"),
    Genre(3, "chamber", N_("Chamber"), "chamber", "classic"),
    Genre(4, "pop_vocal_ballad", N_("Pop vocal ballad"), "pop", "non_classic"),
    Genre(5, "adult_contemporary", N_("Adult contemporary"), "pop", "non_classic"),
    Genre(6, "teen_pop", N_("Teen pop"), "pop", "non_classic"),
    Genre(7, "contemporary_dance_pop", N_("Contemporary dance pop"), "dance_and_house", "non_classic"),
    Genre(8, "dance_pop", N_("Dance pop"), "dance_and_house", "non_classic"),
    Genre(9, "classic_indie_pop", N_("Classic indie pop"), "indie", "non_classic"),
    Genre(10, "chamber_cabaret_and_art_pop", N_("Chamber cabaret & art pop"), "indie", "non_classic"),
    Genre(11, "soul_or_rnb", N_("Soul / R&B"), "soul_or_rnb", "non_classic"),
    Genre(12, "adult_alternative_rock", N_("Adult alternative rock"), "rock", "non_classic"),
    Genre(13, "uplifting_anthemic_rock", N_("Uplifting anthemic rock"), "rock", "non_classic"),
    Genre(14, "soft_rock", N_("Soft rock"), "rock", "non_classic"),
    Genre(15, "acoustic_pop", N_("Acoustic pop"), "rock", "non_classic"),
)

GENRE_IDS: tuple[str, ...] = tuple(genre.id for genre in GENRES)
BY_ID: dict[str, Genre] = {genre.id: genre for genre in GENRES}

LEVEL_NAMES: dict[str, str] = {
    "classic": N_("Classic"),
    "non_classic": N_("Non-classic"),
    "symphony": N_("Symphony"),
    "opera": N_("Opera"),
    "solo": N_("Solo"),
    "chamber": N_("Chamber"),
    "pop": N_("Pop"),
    "dance_and_house": N_("Dance & house"),
    "indie": N_("Indie"),
    "soul_or_rnb": N_("Soul / R&B"),
    "rock": N_("Rock"),
}


class Tier(enum.StrEnum):
    """How sure the model is of its first choice: high above 0.80, low below 0.50, else medium."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


HIGH_ABOVE = 0.80
LOW_BELOW = 0.50


def tier_of(probability: float) -> Tier:
    """The tier of a top-1 probability in [0, 1]."""
    if probability > HIGH_ABOVE:
        return Tier.HIGH
    return Tier.LOW if probability < LOW_BELOW else Tier.MEDIUM
