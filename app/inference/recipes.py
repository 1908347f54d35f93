"""Sixteen recipes for music, one a genre.

The starter model is fitted on what they play, and they serve as demonstration and test sounds. They are caricatures: each has
the tempo, the instruments, the beat and the room that its genre is known for, and no more than that.
"""

from __future__ import annotations

import numpy as np

from app.domain.genres import BY_ID
from app.inference.orchestra import (
    ACCORDION,
    ACOUSTIC_GUITAR,
    BASS_GUITAR,
    BRASS,
    CELLO,
    CHOIR,
    CLARINET,
    CLEAN_GUITAR,
    DISTORTED_GUITAR,
    DOUBLE_BASS,
    ELECTRIC_PIANO,
    FLUTE,
    MUTED_GUITAR,
    ORGAN,
    PIANO,
    SAXOPHONE,
    SOPRANO,
    STRINGS,
    SUPERSAW,
    SYNTH_BASS,
    SYNTH_PLUCK,
    VIOLIN,
    VOICE_HIGH,
    VOICE_LOW,
)
from app.inference.player import Layer, Player, Recipe
from app.inference.synthesis import Sound

_POP = ((0, 4, 5, 3), (5, 3, 0, 4), (0, 5, 3, 4), (3, 4, 0, 5))
_CLASSICAL = ((0, 3, 4, 0), (0, 5, 1, 4), (0, 0, 3, 4), (5, 1, 4, 0))

_LONG_LINE = "x-----------x---x-------x-------"
_SONG = "..x-x-x---x-x---..x-x---x-------"
_BUSY_LINE = "x-x-x---x-x-xxx-x---x-x-x-x-x---"

RECIPES: dict[str, Recipe] = {
    "symphony": Recipe(
        tempo_bpm=(58, 84),
        bands=(
            (
                Layer(STRINGS, "pad", 3, 0),
                Layer(STRINGS, "pad", 4, -2),
                Layer(STRINGS, "melody", 5, 2, _LONG_LINE),
                Layer(BRASS, "pad", 3, -2),
                Layer(BRASS, "bass", 2, 0, "x-------x-------"),
                Layer(FLUTE, "melody", 6, -5, _LONG_LINE),
            ),
        ),
        progressions=_CLASSICAL,
        drums={"timpani": ("x...............x.x.x.x.x...........", -4)},
        swell_db=9,
        room=(2.4, 0.6),
    ),
    "opera": Recipe(
        tempo_bpm=(56, 80),
        bands=(
            (
                Layer(SOPRANO, "melody", 5, 8, "x-------x-------x---x---x-------"),
                Layer(STRINGS, "pad", 3, -7),
                Layer(STRINGS, "chords", 3, -8, "x---........x---"),
            ),
        ),
        progressions=_CLASSICAL,
        swell_db=4,
        room=(1.7, 0.4),
    ),
    "solo": Recipe(
        tempo_bpm=(66, 120),
        bands=(
            (Layer(PIANO, "arpeggio", 3, -4, "x-"), Layer(PIANO, "melody", 5, 2, _BUSY_LINE)),
            (Layer(PIANO, "arpeggio", 4, -4, "x-"), Layer(PIANO, "melody", 5, 2, "x---x---x-x-x---")),
        ),
        progressions=_CLASSICAL,
        room=(1.2, 0.2),
    ),
    "chamber": Recipe(
        tempo_bpm=(84, 126),
        bands=(
            (
                Layer(VIOLIN, "melody", 5, 2, _BUSY_LINE),
                Layer(VIOLIN, "arpeggio", 4, -2, "x-"),
                Layer(CELLO, "chords", 3, -4, "x-x-"),
                Layer(CELLO, "bass", 2, 0, "x---"),
            ),
        ),
        progressions=_CLASSICAL,
        swell_db=3,
        room=(0.9, 0.2),
    ),
    "pop_vocal_ballad": Recipe(
        tempo_bpm=(58, 74),
        bands=(
            (
                Layer(VOICE_HIGH, "melody", 4, 6, _SONG),
                Layer(PIANO, "chords", 4, -3, "x---"),
                Layer(PIANO, "bass", 2, 0, "x-------"),
                Layer(STRINGS, "pad", 4, -14),
            ),
        ),
        progressions=_POP,
        drums={"kick": ("x.........x.....", -10), "brush": ("....x.......x...", -8)},
        room=(1.6, 0.3),
    ),
    "adult_contemporary": Recipe(
        tempo_bpm=(86, 104),
        bands=(
            (
                Layer(VOICE_LOW, "melody", 4, 5, _SONG),
                Layer(ELECTRIC_PIANO, "chords", 4, -2, "x-----x---x-----"),
                Layer(SUPERSAW, "pad", 4, -18),
                Layer(BASS_GUITAR, "bass", 2, 1, "x-----x-x-------"),
            ),
        ),
        progressions=_POP,
        sevenths=True,
        drums={
            "kick": ("x.....x.x.......", -5),
            "snare": ("....x.......x...", -10),
            "shaker": ("x.x.x.x.x.x.x.x.", -8),
        },
        room=(1.0, 0.2),
    ),
    "teen_pop": Recipe(
        tempo_bpm=(100, 114),
        bands=(
            (
                Layer(VOICE_HIGH, "melody", 5, 4, "x-x-..x-x-x-x---"),
                Layer(SYNTH_PLUCK, "arpeggio", 5, 2, "x-x-x-xx"),
                Layer(SYNTH_BASS, "bass", 2, 2, "x-..x-..x-x-x-.."),
            ),
        ),
        progressions=_POP,
        drums={
            "kick": ("x.....x...x.....", 0),
            "clap": ("....x.......x...", 0),
            "hat": ("x.x.x.x.x.x.xxxx", -8),
        },
        room=(0.4, 0.08),
    ),
    "contemporary_dance_pop": Recipe(
        tempo_bpm=(124, 132),
        bands=(
            (
                Layer(SUPERSAW, "pad", 4, 3),
                Layer(SUPERSAW, "chords", 5, 2, "..x-..x-..x-..x-"),
                Layer(SYNTH_BASS, "bass", 1, 4, "..x-..x-..x-..x-"),
            ),
        ),
        progressions=((5, 3, 0, 4), (5, 5, 3, 4)),
        minor=True,
        drums={
            "kick": ("x...x...x...x...", 3),
            "clap": ("....x.......x...", -1),
            "open_hat": ("..x...x...x...x.", -4),
        },
        pump_db=14,
        room=(0.8, 0.15),
    ),
    "dance_pop": Recipe(
        tempo_bpm=(112, 122),
        bands=(
            (
                Layer(MUTED_GUITAR, "chords", 4, 3, "x.xx.xx.x.xx.xx."),
                Layer(SYNTH_BASS, "octaves", 2, 3, "x-x-"),
                Layer(STRINGS, "melody", 5, -3, "x-------x-------"),
                Layer(BRASS, "chords", 4, -2, "..............x-x..............."),
            ),
        ),
        progressions=((0, 5, 1, 4), (5, 1, 4, 0)),
        sevenths=True,
        drums={
            "kick": ("x...x...x...x...", 2),
            "snare": ("....x.......x...", -6),
            "hat": ("xxxxxxxxxxxxxxxx", -6),
        },
        room=(0.5, 0.1),
    ),
    "classic_indie_pop": Recipe(
        tempo_bpm=(132, 150),
        bands=(
            (
                Layer(CLEAN_GUITAR, "arpeggio", 5, 6, "x-"),
                Layer(CLEAN_GUITAR, "chords", 4, -4, "x-x-xxx-"),
                Layer(VOICE_LOW, "melody", 4, -5, _SONG),
                Layer(BASS_GUITAR, "bass", 2, 0, "x-"),
            ),
        ),
        progressions=((0, 3, 0, 4), (0, 1, 3, 4), (0, 2, 3, 3)),
        drums={
            "kick": ("x.......x.x.....", -4),
            "snare": ("....x.......x...", -2),
            "hat": ("x.x.x.x.", -8),
        },
        room=(0.7, 0.25),
    ),
    "chamber_cabaret_and_art_pop": Recipe(
        tempo_bpm=(112, 150),
        bands=(
            (
                Layer(ACCORDION, "chords", 4, 0, "....x-..x-.."),
                Layer(DOUBLE_BASS, "bass", 2, 4, "x---........"),
                Layer(CLARINET, "melody", 5, 3, "x---x---x---x-------x---"),
            ),
        ),
        progressions=((0, 0, 4, 4), (0, 3, 4, 0), (0, 5, 1, 4)),
        minor=True,
        beats_per_bar=3,
        drums={"brush": ("....x...x...", -8)},
        room=(0.5, 0.15),
    ),
    "soul_or_rnb": Recipe(
        tempo_bpm=(68, 88),
        bands=(
            (
                Layer(ELECTRIC_PIANO, "chords", 4, 1, "x---..x-..x-----"),
                Layer(BASS_GUITAR, "bass", 1, 5, "x--x..x-..x--xx."),
                Layer(VOICE_HIGH, "melody", 4, 1, "..xxx---..x-xxx-x---....xxx-x---"),
                Layer(ORGAN, "pad", 4, -16),
            ),
        ),
        progressions=((0, 5, 1, 4), (1, 4, 0, 0), (3, 2, 1, 0)),
        minor=True,
        sevenths=True,
        swing=0.2,
        drums={
            "boom": ("x..x......x..x..", 0),
            "clap": ("....x.......x...", -2),
            "hat": ("x.xxx.x.x.xxx.xx", -6),
        },
        room=(0.6, 0.12),
    ),
    "adult_alternative_rock": Recipe(
        tempo_bpm=(92, 110),
        bands=(
            (
                Layer(DISTORTED_GUITAR, "chords", 3, 2, "x-----x-x---x-x-"),
                Layer(CLEAN_GUITAR, "arpeggio", 3, -3, "x-"),
                Layer(VOICE_LOW, "melody", 3, 5, _SONG),
                Layer(BASS_GUITAR, "bass", 1, 2, "x---x-x-"),
            ),
        ),
        progressions=((0, 5, 2, 6), (0, 3, 5, 4), (0, 6, 5, 5)),
        minor=True,
        drums={
            "kick": ("x.....x.x.x.....", 0),
            "snare": ("....x.......x...", 1),
            "open_hat": ("x...x...x...x...", -8),
        },
        room=(0.5, 0.1),
    ),
    "uplifting_anthemic_rock": Recipe(
        tempo_bpm=(128, 146),
        bands=(
            (
                Layer(DISTORTED_GUITAR, "chords", 3, 2, "x-"),
                Layer(DISTORTED_GUITAR, "melody", 5, 0, _LONG_LINE),
                Layer(CHOIR, "pad", 4, 2),
                Layer(BASS_GUITAR, "bass", 2, 2, "x-"),
            ),
        ),
        progressions=_POP,
        drums={
            "boom": ("x.......x.......", 3),
            "tom": ("..........x.x.xx", 2),
            "snare": ("....x.......x...", 2),
            "open_hat": ("x...x...", -4),
        },
        swell_db=4,
        room=(1.8, 0.35),
    ),
    "soft_rock": Recipe(
        tempo_bpm=(70, 84),
        bands=(
            (
                Layer(ORGAN, "pad", 4, 2),
                Layer(CLEAN_GUITAR, "chords", 4, -2, "x-------x-----x-"),
                Layer(SAXOPHONE, "melody", 4, 6, _LONG_LINE),
                Layer(BASS_GUITAR, "bass", 2, 2, "x-----x-x-----x-"),
            ),
        ),
        progressions=((0, 3, 4, 3), (0, 4, 3, 3), (0, 5, 3, 4)),
        drums={
            "kick": ("x.......x.......", -2),
            "snare": ("....x.......x...", -3),
            "hat": ("x.x.x.x.", -10),
        },
        room=(0.8, 0.15),
    ),
    "acoustic_pop": Recipe(
        tempo_bpm=(96, 122),
        bands=(
            (
                Layer(ACOUSTIC_GUITAR, "chords", 4, 3, "x---x-x-.-x-x-x-"),
                Layer(ACOUSTIC_GUITAR, "bass", 3, -2, "x-------"),
                Layer(VOICE_HIGH, "melody", 4, -1, _SONG),
            ),
        ),
        progressions=_POP,
        drums={"shaker": ("x.xxx.xx", -7)},
        room=(0.4, 0.1),
    ),
}


def recipe(genre_id: str, seed: int, seconds: float = 13.0) -> Sound:
    """Play a genre's recipe: float32 (samples,), mono, 22,050 Hz, peak 0.8. The same arguments give the same sound."""
    rng = np.random.default_rng((BY_ID[genre_id].index, seed))
    return Player(RECIPES[genre_id], seconds, rng).play()
