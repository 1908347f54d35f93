"""The built-in recordings by which precisions are judged: synthesised, always the same, of every genre."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from app.domain.genres import GENRE_IDS
from app.inference.contracts import SAMPLE_RATE_HZ, Clip, Featurizer
from app.inference.recipes import recipe

WINDOWS_PER_CLIP = 2
_TWO_WINDOWS_S = 23.0
_ONE_WINDOW_S = 12.0
# Apart from the starter's own (0 to 11 and 1,000 to 1,002) and from each other.
_JUDGING_SEEDS = (5_001, 5_002)
_CALIBRATION_SEED = 5_000


def judging_pictures(featurizer: Featurizer) -> NDArray[np.uint8]:
    """Two windows of each of 32 clips: uint8 RGB, (64, 224, 224, 3), a clip's windows side by side."""
    return _pictures(featurizer, _JUDGING_SEEDS, _TWO_WINDOWS_S)


def calibration_pictures(featurizer: Featurizer) -> NDArray[np.uint8]:
    """One window of each of 16 other clips: uint8 RGB, (16, 224, 224, 3)."""
    return _pictures(featurizer, (_CALIBRATION_SEED,), _ONE_WINDOW_S)


def _pictures(featurizer: Featurizer, seeds: Iterable[int], seconds: float) -> NDArray[np.uint8]:
    clips = [_clip(genre, seed, seconds) for seed in seeds for genre in GENRE_IDS]
    return np.concatenate([featurizer.windows(clip).pictures for clip in clips])


def _clip(genre: str, seed: int, seconds: float) -> Clip:
    return Clip(
        recipe(genre, seed, seconds), seconds, SAMPLE_RATE_HZ, channels=1, title=None, artist=None, audible=True
    )
