"""The recipes: deterministic music of sixteen kinds."""

from __future__ import annotations

import numpy as np
import pytest

from app.domain.genres import GENRE_IDS
from app.inference.contracts import SAMPLE_RATE_HZ
from app.inference.examples import band_limited
from app.inference.recipes import RECIPES, recipe
from app.inference.synthesis import DRUMS


def test_there_is_a_recipe_for_every_genre_and_a_drum_for_every_name():
    assert tuple(RECIPES) == GENRE_IDS
    assert {name for recipe in RECIPES.values() for name in recipe.drums} <= DRUMS.keys()


@pytest.mark.parametrize("genre_id", GENRE_IDS)
def test_a_recipe_plays_the_same_music_for_the_same_seed_only(genre_id):
    sound = recipe(genre_id, seed=1, seconds=3)
    assert (sound.dtype, sound.shape) == (np.float32, (3 * SAMPLE_RATE_HZ,))
    assert np.max(np.abs(sound)) == pytest.approx(0.8, abs=1e-5)
    assert np.sqrt(np.mean(sound**2)) > 0.02
    np.testing.assert_array_equal(sound, recipe(genre_id, seed=1, seconds=3))
    assert np.max(np.abs(sound - recipe(genre_id, seed=2, seconds=3))) > 0.1


def test_dance_music_beats_at_its_tempo():
    """The energy below 150 Hz repeats with every beat of 124 to 132 a minute."""
    sound = recipe("contemporary_dance_pop", seed=5, seconds=12)
    spectrum = np.fft.rfft(sound)
    spectrum[np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE_HZ) > 150] = 0
    energy = np.fft.irfft(spectrum)[: 12 * SAMPLE_RATE_HZ].reshape(-1, 441) ** 2
    envelope = energy.mean(axis=1) - energy.mean()
    repeats = np.correlate(envelope, envelope, "full")[len(envelope) - 1 :]
    slowest, fastest = 60 / 124, 60 / 132
    lags_s = np.arange(len(repeats)) * 441 / SAMPLE_RATE_HZ
    searched = (lags_s > 0.3) & (lags_s < 0.7)
    beat_s = lags_s[searched][np.argmax(repeats[searched])]
    assert fastest - 0.02 <= beat_s <= slowest + 0.02


def test_a_band_limited_sound_has_lost_its_treble_and_little_else():
    sound = recipe("teen_pop", seed=1, seconds=3)
    narrow = band_limited(sound, 8_000)
    assert narrow.shape == sound.shape
    frequencies_hz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE_HZ)
    before, after = np.abs(np.fft.rfft(sound)), np.abs(np.fft.rfft(narrow))
    treble, rest = frequencies_hz > 4_300, frequencies_hz < 3_000
    assert np.sum(after[treble] ** 2) < 0.02 * np.sum(before[treble] ** 2)
    np.testing.assert_allclose(np.sum(after[rest] ** 2), np.sum(before[rest] ** 2), rtol=0.05)
