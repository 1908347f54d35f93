"""What the benches work on: synthesised recordings as MP3 files, made once and kept in the cache."""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import cycle, islice
from pathlib import Path

import numpy as np
import soundfile
import soxr

from app.domain.genres import GENRE_IDS
from app.inference.contracts import SAMPLE_RATE_HZ
from app.inference.recipes import recipe

_RATE_HZ = 44_100
_SECONDS = 30.5  # MP3 has no exact length; 30 s are analysed
_FIRST_SEED = 9_000  # apart from those that the starter learns from and is measured with
_RIGHT_DELAY_SAMPLES = 441
_ID3V1_BYTES = 128


def clips(folder: Path, count: int) -> list[Path]:
    """MP3 files of 30 s, stereo, 44.1 kHz, of every genre in turn; those that are missing are made, on all cores."""
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [folder / f"{index:04d}-{GENRE_IDS[index % len(GENRE_IDS)]}.mp3" for index in range(count)]
    missing = [index for index, path in enumerate(wanted) if not path.exists()]
    with ProcessPoolExecutor(os.cpu_count()) as processes:
        for index, content in zip(missing, processes.map(_mp3, missing), strict=True):
            draft = wanted[index].with_suffix(".part")
            draft.write_bytes(content)
            draft.replace(wanted[index])
    return wanted


def encoded_as(content: bytes, container: str) -> bytes:
    """A recording in another container that libsndfile writes: FLAC, WAV."""
    samples, rate_hz = soundfile.read(io.BytesIO(content), dtype="int16")
    target = io.BytesIO()
    soundfile.write(target, samples, rate_hz, format=container)
    return target.getvalue()


def distinct(contents: Sequence[bytes], count: int) -> list[bytes]:
    """So many files, none like another: where contents repeat, another title in an ID3 tag makes the difference."""
    repeated = islice(cycle(contents), count)
    return [content + f"TAG{number}".encode().ljust(_ID3V1_BYTES, b"\0") for number, content in enumerate(repeated)]


def _mp3(index: int) -> bytes:
    genre = GENRE_IDS[index % len(GENRE_IDS)]
    mono = recipe(genre, _FIRST_SEED + index // len(GENRE_IDS), _SECONDS)
    left = soxr.resample(mono, SAMPLE_RATE_HZ, _RATE_HZ)
    stereo = np.stack([left, 0.8 * np.roll(left, _RIGHT_DELAY_SAMPLES)], axis=1)
    target = io.BytesIO()
    soundfile.write(target, stereo / max(1.0, np.abs(stereo).max()), _RATE_HZ, format="MP3", subtype="MPEG_LAYER_III")
    return target.getvalue()
