"""Where labelled pictures come from: the recipes, or a folder of labelled audio."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torchaudio.functional import resample

from app.domain.failures import AnalysisFailed
from app.domain.genres import GENRE_IDS
from app.errors import ExamplesUnusable
from app.inference.contracts import SAMPLE_RATE_HZ, Clip, Decoder, Featurizer
from app.inference.fit import FOLDS, Examples, Report
from app.inference.recipes import recipe
from app.inference.synthesis import Sound

# Every fourth clip sounds as if recorded at one of these rates: old tapes, telephones, cheap encoders.
_NARROW_BANDS_HZ = (8_000, 11_025, 14_000)
_NARROW_EVERY = 4
_CLIP_SECONDS = (12.0, 15.0)

Skipped = Callable[[Path, str], None]


def band_limited(sound: Sound, sample_rate_hz: int) -> Sound:
    """What is left of a sound (samples,) at 22,050 Hz after it went through a lower sample rate."""
    lower = resample(torch.from_numpy(sound), SAMPLE_RATE_HZ, sample_rate_hz)
    back: Sound = resample(lower, sample_rate_hz, SAMPLE_RATE_HZ).numpy()
    return back[: len(sound)]


def examples_of_recipes(seeds: range, featurizer: Featurizer, report: Report) -> Examples:
    """One clip of every genre for every seed."""
    clips = [(genre, seed) for seed in seeds for genre in range(len(GENRE_IDS))]
    pictures: list[NDArray[np.uint8]] = []
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for windows in threads.map(lambda clip: featurizer.windows(_played(*clip)).pictures, clips):
            pictures.append(windows)
            report("music", len(pictures), len(clips))
    return _joined(pictures, [genre for genre, _ in clips])


def _played(genre: int, seed: int) -> Clip:
    rng = np.random.default_rng((seed, genre))
    sound = recipe(GENRE_IDS[genre], seed, rng.uniform(*_CLIP_SECONDS))
    if seed % _NARROW_EVERY == _NARROW_EVERY - 1:
        sound = band_limited(sound, int(rng.choice(_NARROW_BANDS_HZ)))
    duration_s = len(sound) / SAMPLE_RATE_HZ
    return Clip(sound, duration_s, SAMPLE_RATE_HZ, channels=1, title=None, artist=None, audible=True)


async def examples_of_folder(
    folder: Path,
    decoder: Decoder,
    featurizer: Featurizer,
    report: Report,
    *,
    skipped: Skipped,
    least_per_genre: int = FOLDS,
) -> Examples:
    """The audio files in ``folder/<genre id>/``. ``skipped`` hears of each file that can't be used, and why.

    Raises:
        ExamplesUnusable: there is too little to learn from.
    """
    files = _labelled_files(folder)
    done = 0
    gate = asyncio.Semaphore(os.cpu_count() or 1)

    async def pictures_of(path: Path) -> NDArray[np.uint8] | None:
        nonlocal done
        async with gate:
            try:
                clip = await decoder.decode(await asyncio.to_thread(path.read_bytes))
                return (await asyncio.to_thread(featurizer.windows, clip)).pictures
            except AnalysisFailed as failure:
                skipped(path, str(failure))
                return None
            finally:
                done += 1
                report("music", done, len(files))

    pictures = await asyncio.gather(*(pictures_of(path) for path, _ in files))
    usable = [(found, label) for found, (_, label) in zip(pictures, files, strict=True) if found is not None]
    _check_enough(folder, [label for _, label in usable], least_per_genre)
    return _joined([found for found, _ in usable], [label for _, label in usable])


def _labelled_files(folder: Path) -> list[tuple[Path, int]]:
    return [
        (path, label)
        for label, genre_id in enumerate(GENRE_IDS)
        for path in sorted((folder / genre_id).glob("*"))
        if path.is_file() and not path.name.startswith(".")
    ]


def _check_enough(folder: Path, labels: list[int], least_per_genre: int) -> None:
    counts = {GENRE_IDS[label]: labels.count(label) for label in set(labels)}
    if len(counts) < 2:
        problem = "it needs audio of at least two genres, in folders named by genre id (soft_rock/one.mp3)"
        raise ExamplesUnusable(path=str(folder), problem=problem)
    for genre_id, found in counts.items():
        if found < least_per_genre:
            problem = f"{genre_id} has {found} usable files; each genre needs at least {least_per_genre}"
            raise ExamplesUnusable(path=str(folder), problem=problem)


def _joined(pictures: list[NDArray[np.uint8]], labels: list[int]) -> Examples:
    windows = [len(found) for found in pictures]
    return Examples(np.concatenate(pictures), np.repeat(labels, windows), np.repeat(np.arange(len(pictures)), windows))
