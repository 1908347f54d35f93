"""A small synthesiser: tones from wavetables, drums from noise, a room. Everything is float32 mono at 22,050 Hz.

It plays the recipes (``app.inference.recipes``): music good enough to tell kinds of music apart, made without any recording.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from app.inference.contracts import SAMPLE_RATE_HZ

Sound = NDArray[np.float32]  # (samples,)

_TABLE_SAMPLES = 2048
_MOST_HARMONICS = 48
_NYQUIST_HZ = SAMPLE_RATE_HZ / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Timbre:
    """How an instrument sounds.

    ``rolloff``: harmonic k is k ** -rolloff strong. ``even``: gain of the even harmonics. ``formants``: (centre Hz, width Hz,
    gain) of fixed resonances. ``decay_s``: None for a sustained tone. ``voices``, ``detune_cents``: players in unison.
    ``drive``: gain into a soft clipper. ``breath``: level of noise beside the tone.
    """

    rolloff: float = 1.0
    even: float = 1.0
    formants: tuple[tuple[float, float, float], ...] = ()
    attack_s: float = 0.01
    decay_s: float | None = None
    release_s: float = 0.08
    vibrato_hz: float = 5.5
    vibrato_cents: float = 0.0
    voices: int = 1
    detune_cents: float = 0.0
    drive: float = 0.0
    breath: float = 0.0


def midi_to_hz(pitch: float) -> float:
    """Equal temperament, A4 = MIDI note 69 = 440 Hz."""
    return float(440.0 * 2.0 ** ((pitch - 69) / 12))


@lru_cache(maxsize=4096)
def _wavetable(timbre: Timbre, hz: float) -> Sound:
    """One period with every harmonic below the Nyquist frequency, RMS 1."""
    harmonics = np.arange(1, max(2, min(_MOST_HARMONICS, int(0.95 * _NYQUIST_HZ / hz)) + 1))
    strengths = harmonics.astype(float) ** -timbre.rolloff
    strengths[1::2] *= timbre.even
    resonance = np.full(len(harmonics), 0.05 if timbre.formants else 1.0)
    for centre_hz, width_hz, gain in timbre.formants:
        resonance += gain * np.exp(-(((harmonics * hz - centre_hz) / width_hz) ** 2))
    spectrum = np.zeros(_TABLE_SAMPLES // 2 + 1, dtype=complex)
    # Schroeder's phases keep the crest factor low, as real instruments do.
    spectrum[harmonics] = strengths * resonance * np.exp(-1j * np.pi * harmonics**2 / len(harmonics))
    table = np.fft.irfft(spectrum)
    return np.asarray(table / np.sqrt(np.mean(table**2)), dtype=np.float32)


def _envelope(timbre: Timbre, seconds: float) -> Sound:
    samples = int((seconds + timbre.release_s) * SAMPLE_RATE_HZ)
    time_s = np.arange(samples, dtype=np.float32) / SAMPLE_RATE_HZ
    envelope = np.minimum(1, time_s / timbre.attack_s)
    if timbre.decay_s is not None:
        envelope *= np.exp(-time_s / timbre.decay_s)
    return (envelope * np.clip((seconds + timbre.release_s - time_s) / timbre.release_s, 0, 1)).astype(np.float32)


def _voice(timbre: Timbre, hz: float, samples: int, rng: np.random.Generator) -> Sound:
    """One player: the wavetable read at a wavering speed."""
    time_s = np.arange(samples, dtype=np.float64) / SAMPLE_RATE_HZ
    detuned_hz = hz * 2 ** (timbre.detune_cents * rng.uniform(-1, 1) / 1200)
    phase = detuned_hz * time_s + rng.uniform()
    if timbre.vibrato_cents:
        rate_hz = timbre.vibrato_hz * rng.uniform(0.9, 1.1)
        swing = detuned_hz * (2 ** (timbre.vibrato_cents / 1200) - 1) / (2 * np.pi * rate_hz)
        phase += swing * np.sin(2 * np.pi * rate_hz * time_s) * np.minimum(1, time_s / 0.3)
    return _wavetable(timbre, hz)[(phase * _TABLE_SAMPLES).astype(np.int64) % _TABLE_SAMPLES]


def tone(timbre: Timbre, pitch: float, seconds: float, rng: np.random.Generator) -> Sound:
    """A note of ``seconds`` (plus its release) at a MIDI pitch, RMS about 0.1 before the envelope."""
    envelope = _envelope(timbre, seconds)
    hz = midi_to_hz(pitch)
    sound = np.sum([_voice(timbre, hz, len(envelope), rng) for _ in range(timbre.voices)], axis=0)
    sound /= np.sqrt(timbre.voices)
    if timbre.breath:
        sound = sound + timbre.breath * rng.standard_normal(len(sound), dtype=np.float32)
    if timbre.drive:
        sound = np.tanh(timbre.drive * sound)
    return np.asarray(0.1 * sound * envelope, dtype=np.float32)


def _decay(seconds: float, time_constant_s: float) -> Sound:
    return np.exp(-np.arange(int(seconds * SAMPLE_RATE_HZ)) / (time_constant_s * SAMPLE_RATE_HZ)).astype(np.float32)


def _noise(seconds: float, low_hz: float, high_hz: float, rng: np.random.Generator) -> Sound:
    """White noise between two frequencies, peak 1."""
    samples = int(seconds * SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(samples))
    frequencies_hz = np.fft.rfftfreq(samples, 1 / SAMPLE_RATE_HZ)
    spectrum[(frequencies_hz < low_hz) | (frequencies_hz > high_hz)] = 0
    noise = np.fft.irfft(spectrum, samples)
    return np.asarray(noise / np.max(np.abs(noise)), dtype=np.float32)


def _sweep(seconds: float, from_hz: float, to_hz: float) -> Sound:
    """A sine that falls within some 30 ms from one frequency to another."""
    time_s = np.arange(int(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    frequency_hz = to_hz + (from_hz - to_hz) * np.exp(-time_s / 0.03)
    return np.sin(2 * np.pi * np.cumsum(frequency_hz) / SAMPLE_RATE_HZ).astype(np.float32)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drum:
    """A stroke: filtered noise (gain, low Hz, high Hz) and a falling sine (gain, from Hz, to Hz), dying away together."""

    seconds: float
    decay_s: float
    noise: tuple[float, float, float] | None = None
    sine: tuple[float, float, float] | None = None


DRUMS = {
    "kick": Drum(seconds=0.25, decay_s=0.08, sine=(1, 160, 50)),
    "boom": Drum(seconds=0.6, decay_s=0.2, sine=(1, 110, 42)),
    "snare": Drum(seconds=0.22, decay_s=0.06, noise=(0.6, 300, 9_000), sine=(0.4, 260, 180)),
    "brush": Drum(seconds=0.2, decay_s=0.08, noise=(0.4, 1_500, 6_000)),
    "clap": Drum(seconds=0.2, decay_s=0.045, noise=(1, 900, 5_000)),
    "hat": Drum(seconds=0.08, decay_s=0.02, noise=(0.5, 6_500, 11_000)),
    "open_hat": Drum(seconds=0.3, decay_s=0.11, noise=(0.6, 5_500, 11_000)),
    "shaker": Drum(seconds=0.1, decay_s=0.04, noise=(0.3, 4_000, 9_000)),
    "tom": Drum(seconds=0.4, decay_s=0.14, sine=(1, 150, 90)),
    "timpani": Drum(seconds=1.2, decay_s=0.45, sine=(1, 100, 73)),
}


def stroke(drum: Drum, rng: np.random.Generator) -> Sound:
    """One stroke, peak about 1; the noise is new each time."""
    sound = np.zeros(int(drum.seconds * SAMPLE_RATE_HZ), dtype=np.float32)
    if drum.noise:
        gain, low_hz, high_hz = drum.noise
        sound += gain * _noise(drum.seconds, low_hz, high_hz, rng)
    if drum.sine:
        gain, from_hz, to_hz = drum.sine
        sound += gain * _sweep(drum.seconds, from_hz, to_hz)
    return sound * _decay(drum.seconds, drum.decay_s)


def add_at(mix: Sound, start_s: float, sound: Sound, gain: float = 1.0) -> None:
    """Add ``sound`` to ``mix`` in place; what would lie outside is cut off."""
    start = max(0, int(start_s * SAMPLE_RATE_HZ))
    part = sound[: max(0, len(mix) - start)]
    mix[start : start + len(part)] += gain * part


def in_a_room(dry: Sound, decay_s: float, wet: float, rng: np.random.Generator) -> Sound:
    """Add the reverberation of a room whose sound dies away by 60 dB in ``decay_s``."""
    samples = int(decay_s * SAMPLE_RATE_HZ)
    tail = rng.standard_normal(samples) * 10 ** (-3 * np.arange(samples) / samples)
    tail /= np.sqrt(np.sum(tail**2))
    size = 1 << (len(dry) + samples).bit_length()
    echo = np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(tail, size), size)[: len(dry)]
    return (dry + wet * echo).astype(np.float32)


def normalised(sound: Sound, peak: float = 0.8) -> Sound:
    loudest = float(np.max(np.abs(sound), initial=0.0))
    return sound if loudest == 0 else (sound * (peak / loudest)).astype(np.float32)
