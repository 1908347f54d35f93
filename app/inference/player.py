"""Plays a recipe: chance picks key, tempo, chords and levels, and the notes follow."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from app.inference import synthesis
from app.inference.contracts import SAMPLE_RATE_HZ
from app.inference.synthesis import DRUMS, Sound, Timbre

_MAJOR = (0, 2, 4, 5, 7, 9, 11)
_MINOR = (0, 2, 3, 5, 7, 8, 10)
_STEPS_PER_BEAT = 4


@dataclass(frozen=True, slots=True)
class Layer:
    """An instrument and what it does.

    ``part``: pad (chord held), chords (chord struck on the rhythm), arpeggio (its notes in turn), bass (its root), octaves
    (root and octave in turn), melody (a walk over the scale). ``octave``: 4 is the octave of middle C. ``gain`` in dB.
    ``rhythm``: one character a sixteenth, x struck, - held on, anything else silent; repeated as long as needed.
    ``rhythm`` is not used by pads.
    """

    timbre: Timbre
    part: str
    octave: int
    gain_db: float
    rhythm: str = "x---"


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """A kind of music.

    ``progressions``: roots as degrees of the scale, one a bar. ``drums``: rhythm by drum. ``swell_db``: how much the loudness
    breathes. ``pump_db``: how far every beat ducks the rest. ``room``: reverberation time in s, and its level. ``bands``: the
    layers of one line-up of players; a clip takes one of them.
    """

    tempo_bpm: tuple[float, float]
    bands: tuple[tuple[Layer, ...], ...]
    progressions: tuple[tuple[int, ...], ...]
    drums: dict[str, tuple[str, float]] = field(default_factory=dict)
    minor: bool = False
    sevenths: bool = False
    beats_per_bar: int = 4
    swing: float = 0.0
    swell_db: float = 0.0
    pump_db: float = 0.0
    room: tuple[float, float] = (0.6, 0.15)


@dataclass(frozen=True, slots=True)
class _Stroke:
    """``step`` counts sixteenths from the start."""

    step: int
    steps: int


def _strokes(rhythm: str, total_steps: int) -> Iterator[_Stroke]:
    step = 0
    while step < total_steps:
        held = 1
        while rhythm[(step + held) % len(rhythm)] == "-" and held < 4 * len(rhythm):
            held += 1
        if rhythm[step % len(rhythm)] == "x":
            yield _Stroke(step, held)
        step += held


class Player:
    """Plays one clip: what chance decides for the whole of it (key, tempo, chords, levels) is its state."""

    def __init__(self, recipe: Recipe, seconds: float, rng: np.random.Generator) -> None:
        self._recipe = recipe
        self._rng = rng
        self._samples = int(seconds * SAMPLE_RATE_HZ)
        self._step_s = 60 / rng.uniform(*recipe.tempo_bpm) / _STEPS_PER_BEAT
        self._steps = int(seconds / self._step_s) + 1
        self._steps_per_bar = recipe.beats_per_bar * _STEPS_PER_BEAT
        self._key = int(rng.integers(-5, 7))
        self._scale = _MINOR if recipe.minor else _MAJOR
        self._progression = recipe.progressions[rng.integers(len(recipe.progressions))]

    def play(self) -> Sound:
        recipe = self._recipe
        music = np.zeros(self._samples, dtype=np.float32)
        for layer in recipe.bands[self._rng.integers(len(recipe.bands))]:
            self._play_layer(layer, music)
        if recipe.pump_db:
            music *= self._pump(recipe.pump_db)
        self._play_drums(music)
        if recipe.swell_db:
            music *= self._swell(recipe.swell_db)
        decay_s, wet = recipe.room
        music = synthesis.in_a_room(music, decay_s * self._rng.uniform(0.8, 1.2), wet, self._rng)
        hiss = self._rng.uniform(0.0001, 0.001) * self._rng.standard_normal(self._samples, dtype=np.float32)
        return synthesis.normalised(music + hiss)

    def _play_layer(self, layer: Layer, music: Sound) -> None:
        gain = 10 ** ((layer.gain_db + self._rng.uniform(-2, 2)) / 20)
        rhythm = "x" + "-" * (self._steps_per_bar - 1) if layer.part == "pad" else layer.rhythm
        walk = int(self._rng.integers(0, 7))
        for number, stroke in enumerate(_strokes(rhythm, self._steps)):
            if layer.part == "melody":
                walk = int(np.clip(walk + self._rng.integers(-2, 3), -2, 9))
            degrees = self._degrees(layer.part, self._root_at(stroke.step), number, walk)
            for degree in degrees:
                level = gain * self._rng.uniform(0.8, 1.1) / np.sqrt(len(degrees))
                start_s = self._time_s(stroke.step) + self._rng.uniform(0, 0.012)
                synthesis.add_at(music, start_s, self._note(layer, degree, stroke.steps), level)

    def _note(self, layer: Layer, degree: int, steps: int) -> Sound:
        pitch = 12 * (layer.octave + 1) + self._key + self._semitones(degree)
        return synthesis.tone(layer.timbre, pitch, 0.95 * steps * self._step_s, self._rng)

    def _play_drums(self, music: Sound) -> None:
        for name, (rhythm, gain_db) in self._recipe.drums.items():
            gain = 0.35 * 10 ** ((gain_db + self._rng.uniform(-2, 2)) / 20)
            sound = synthesis.stroke(DRUMS[name], self._rng)
            for stroke in _strokes(rhythm, self._steps):
                synthesis.add_at(music, self._time_s(stroke.step), sound, gain * self._rng.uniform(0.8, 1.1))

    def _degrees(self, part: str, root: int, number: int, walk: int) -> tuple[int, ...]:
        """Degrees of the scale to sound now."""
        chord = (root, root + 2, root + 4, root + 6) if self._recipe.sevenths else (root, root + 2, root + 4)
        match part:
            case "pad" | "chords":
                return chord
            case "arpeggio":
                return ((*chord, root + 7)[(0, 2, 1, 3, 2, 1)[number % 6]],)
            case "bass":
                return (root if root < 4 else root - 7,)
            case "octaves":
                return (root - 7 * (root >= 4) + 7 * (number % 2),)
            case "melody":
                return (walk,)
        raise ValueError(f"no part is called {part!r}")

    def _root_at(self, step: int) -> int:
        return self._progression[step // self._steps_per_bar % len(self._progression)]

    def _semitones(self, degree: int) -> int:
        octave, step = divmod(degree, len(self._scale))
        return 12 * octave + self._scale[step]

    def _time_s(self, step: int) -> float:
        return self._step_s * (step + self._recipe.swing * (step % 2))

    def _pump(self, depth_db: float) -> Sound:
        beat_s = self._step_s * _STEPS_PER_BEAT
        within_beat = (np.arange(self._samples) / SAMPLE_RATE_HZ / beat_s) % 1
        return (10 ** (-depth_db * np.maximum(0, 1 - 1.6 * within_beat) / 20)).astype(np.float32)

    def _swell(self, depth_db: float) -> Sound:
        period_s = self._rng.uniform(6, 12)
        phase = 2 * np.pi * (np.arange(self._samples) / SAMPLE_RATE_HZ / period_s + self._rng.uniform())
        return (10 ** (depth_db * (np.sin(phase) - 1) / 40)).astype(np.float32)
