"""Synthesised music of several kinds: deterministic, and different enough to reach all of a spectrogram."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]


def _times(seconds: float, rate_hz: int) -> NDArray[np.float64]:
    return np.arange(round(seconds * rate_hz)) / rate_hz


def _tone(times: NDArray[np.float64], frequency_hz: float, harmonics: int, top_hz: float) -> NDArray[np.float64]:
    orders = [n for n in range(1, harmonics + 1) if n * frequency_hz < top_hz]
    return sum((np.sin(2 * np.pi * n * frequency_hz * times + n) / n for n in orders), np.zeros_like(times))


def _peak(samples: NDArray[np.float64], peak: float = 0.7) -> Samples:
    return (samples / np.abs(samples).max() * peak).astype(np.float32)


def chords(seconds: float, rate_hz: int = 44_100, *, seed: int = 0) -> Samples:
    """Sustained strings: minor and major chords that change every two seconds, with vibrato and slow swells."""
    random = np.random.default_rng(seed)
    times = _times(seconds, rate_hz)
    vibrato = times + 0.0006 * np.sin(2 * np.pi * 5.5 * times) / 5.5
    out = np.zeros_like(times)
    for start in np.arange(0, seconds, 2.0):
        root_hz = 110 * 2 ** (random.integers(0, 12) / 12)
        local = np.clip((times - start) / 2.0, 0, 1)
        swell = np.sin(np.pi * local) ** 2 * (0.4 + 0.6 * random.random())
        for interval in (0, random.integers(3, 5), 7, 12):
            out += swell * _tone(vibrato, root_hz * 2 ** (interval / 12), 12, 9_000)
    return _peak(out)


def beats(seconds: float, rate_hz: int = 44_100, *, seed: int = 0) -> Samples:
    """Dance music: a kick on each beat at 126 bpm, noise between the beats, a bass line."""
    random = np.random.default_rng(seed)
    times = _times(seconds, rate_hz)
    beat = times * 126 / 60
    phase = (beat % 1) * 60 / 126
    kick = np.sin(2 * np.pi * 48 * phase + 12 * (1 - np.exp(-phase * 30))) * np.exp(-phase * 9)
    off_phase = ((beat + 0.5) % 1) * 60 / 126
    hat = random.standard_normal(len(times)) * np.exp(-off_phase * 40) * 0.3
    notes_hz = 55 * 2 ** (random.integers(0, 8, int(beat[-1]) + 1) / 12)
    bass = np.sign(np.sin(2 * np.pi * np.cumsum(notes_hz[beat.astype(int)]) / rate_hz)) * 0.25
    return _peak(kick + hat + bass)


def melody(seconds: float, rate_hz: int = 44_100, *, seed: int = 0) -> Samples:
    """A plucked solo: five notes a second that die away, over almost silence."""
    random = np.random.default_rng(seed)
    times = _times(seconds, rate_hz)
    out = random.standard_normal(len(times)) * 1e-4
    for start in np.arange(0, seconds, 0.2):
        begin = round(start * rate_hz)
        local = times[begin:] - start
        frequency_hz = 196 * 2 ** (random.integers(0, 30) / 12)
        out[begin:] += _tone(local, frequency_hz, 8, 9_000) * np.exp(-local * 6)
    return _peak(out)


def noise(seconds: float, rate_hz: int = 44_100, *, seed: int = 0) -> Samples:
    """Applause: noise whose level wanders."""
    random = np.random.default_rng(seed)
    times = _times(seconds, rate_hz)
    return _peak(random.standard_normal(len(times)) * (1 + 0.8 * np.sin(2 * np.pi * 0.3 * times)))


def sweep(seconds: float, rate_hz: int = 44_100, *, seed: int = 0) -> Samples:
    """A tone that rises from 30 Hz to 8 kHz: touches every bin."""
    times = _times(seconds, rate_hz)
    rise = np.log(8_000 / 30) / seconds
    return _peak(np.sin(2 * np.pi * 30 * np.expm1(rise * times) / rise + seed))


KINDS: dict[str, Callable[..., Samples]] = {
    "chords": chords,
    "beats": beats,
    "melody": melody,
    "noise": noise,
    "sweep": sweep,
}
