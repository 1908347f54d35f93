"""Synthesised music of several kinds: deterministic, and different enough to reach all of a spectrogram."""

from __future__ import annotations

import io
import subprocess
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import soundfile
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
    """Sustained strings: minor and major chords that swell and fade every two seconds, with vibrato."""
    random = np.random.default_rng(seed)
    out = np.zeros_like(_times(seconds, rate_hz))
    times = _times(2.0, rate_hz)
    vibrato = times + 0.0006 * np.sin(2 * np.pi * 5.5 * times) / 5.5
    for begin in range(0, len(out), len(times)):
        root_hz = 110 * 2 ** (random.integers(0, 12) / 12)
        swell = np.sin(np.pi * times / 2.0) ** 2 * (0.4 + 0.6 * random.random())
        intervals = (0, random.integers(3, 5), 7, 12)
        chord = swell * sum(_tone(vibrato, root_hz * 2 ** (interval / 12), 12, 9_000) for interval in intervals)
        out[begin : begin + len(times)] = chord[: len(out) - begin]
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
    sounding = _times(1.0, rate_hz)
    for start in np.arange(0, seconds, 0.2):
        begin = round(start * rate_hz)
        note = _tone(sounding, 196 * 2 ** (random.integers(0, 30) / 12), 8, 9_000) * np.exp(-sounding * 6)
        out[begin : begin + len(note)] += note[: len(out) - begin]
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


# Names that soundfile writes; everything else goes through the ffmpeg program.
_SOUNDFILE = {
    "wav": ("WAV", "PCM_16"),
    "flac": ("FLAC", "PCM_16"),
    "mp3": ("MP3", "MPEG_LAYER_III"),
    "ogg": ("OGG", "VORBIS"),
}
_FFMPEG = {
    "opus": ("-c:a", "libopus", "-f", "ogg"),
    "m4a": ("-c:a", "aac", "-f", "ipod"),
    "aac": ("-c:a", "aac", "-f", "adts"),
    "webm": ("-c:a", "libopus", "-f", "webm"),
}
CONTAINERS = (*_SOUNDFILE, *_FFMPEG)


def stereo(left: Samples, right: Samples | None = None) -> Samples:
    """(samples, 2); the right channel is the left one, quieter, unless given."""
    return np.stack([left, left * np.float32(0.5) if right is None else right], axis=1)


def encode(samples: Samples, rate_hz: int, container: str, *options: str, subtype: str | None = None) -> bytes:
    """The bytes of an audio file. ``options`` go to ffmpeg, ``subtype`` to soundfile."""
    if container in _SOUNDFILE and not options:
        name, default = _SOUNDFILE[container]
        content = io.BytesIO()
        soundfile.write(content, samples, rate_hz, format=name, subtype=subtype or default)
        return content.getvalue()
    wav = encode(samples, rate_hz, "wav", subtype="FLOAT")
    return ffmpeg(wav, *_FFMPEG.get(container, ("-f", container)), *options)


def ffmpeg(content: bytes, *options: str | Path, keep_video: bool = False) -> bytes:
    """Run the ffmpeg program over an audio file; the output is a real file, so that its header is complete."""
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "in"), Path(folder, "out")
        source.write_bytes(content)
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-i", source]
        command += [*options, target] if keep_video else ["-vn", *options, target]
        subprocess.run(command, check=True)
        return target.read_bytes()


def at_hand(content: bytes) -> Callable[[], Awaitable[bytes]]:
    """For an engine, which fetches files when there is room for them."""

    async def fetch() -> bytes:
        return content

    return fetch
