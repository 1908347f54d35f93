"""From a clip to the pictures that the network sees, exactly as the public checkpoint saw them in training.

The reference drew each window with matplotlib, saved it as JPEG and shrank it with PIL. The drawing is a flat mesh, so
which cell a pixel shows is arithmetic; JPEG and shrinking are PIL's here too. The JPEG step is part of the model: without
it one answer in six changes.
"""

from __future__ import annotations

import io

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from app.inference import memory
from app.inference.contracts import PICTURE_SIDE, SAMPLE_RATE_HZ, WINDOW_S, Clip, Windows
from app.inference.cqt import LibrosaCQT
from app.inference.cqt_kernels import BINS, HOP
from app.inference.magma import MAGMA

FIGURE_WIDTH, FIGURE_HEIGHT = 496, 369
_FIGURE_HEIGHT_EXACT = 369.6  # 77 % of 4.8 inches at 100 dots an inch; matplotlib cuts the fraction off
_JPEG_QUALITY = 75
DYNAMIC_RANGE_DB = 80.0
POWER_FLOOR = 1e-10
_COLOURS = 256

# A repeated clip is made this much longer at either end than its window, so that the window shows no edge: the longest
# filter reaches 0.26 s away from a frame's centre, and librosa's resampling a little further.
_MARGIN_S = 0.5
_SPECTROGRAM_ROWS_PER_BIN = 4
_PNG_LEVEL = 1  # two thirds of the time of the usual 6, for a file 2 % larger


class FeatureExtractor:
    """Implements ``contracts.Featurizer``. Threads may share one: nothing in it changes after construction."""

    def __init__(self, device: str = "cpu") -> None:
        self._device = torch.device(device)
        self._cqt = LibrosaCQT().eval().to(self._device)
        memory.give_back()  # 50 MB, of which the kernels were made

    def windows(self, clip: Clip) -> Windows:
        samples = long_enough(clip.samples)
        decibels = self._decibels(samples)
        starts, step = window_frames(decibels.shape[1], len(samples) / SAMPLE_RATE_HZ)
        analysed_seconds = len(clip.samples) / SAMPLE_RATE_HZ
        return Windows(
            pictures=np.stack([picture(decibels[:, start : start + step]) for start in starts]),
            spans_s=spans_s(starts, step, analysed_seconds),
            analysed_seconds=analysed_seconds,
            spectrogram_png=spectrogram_of(decibels, clip),
        )

    def _decibels(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Level of each bin and frame below the loudest of the clip: (84, frames), from -80 to 0 dB."""
        with torch.inference_mode():
            magnitudes = self._cqt(torch.from_numpy(samples).to(self._device).unsqueeze(0))[0].cpu().numpy()
        levels_db = 10 * np.log10(np.maximum(magnitudes**2, np.float32(POWER_FLOOR)))
        relative_db: NDArray[np.float32] = np.maximum(levels_db - levels_db.max(), -DYNAMIC_RANGE_DB)
        return relative_db


def long_enough(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The clip itself, or one shorter than a window repeated until it fills a window and its margins."""
    if len(samples) >= WINDOW_S * SAMPLE_RATE_HZ:
        return samples
    return np.resize(samples, round((WINDOW_S + 2 * _MARGIN_S) * SAMPLE_RATE_HZ))


def window_frames(frames: int, duration_s: float) -> tuple[list[int], int]:
    """First frame of each window, and their common width: adjacent, in the middle of the clip."""
    step = int(WINDOW_S * frames / duration_s)
    count = frames // step
    first = int(0.5 * (frames - count * step))
    return [first + index * step for index in range(count)], step


def spans_s(starts: list[int], step: int, analysed_seconds: float) -> list[tuple[float, float]]:
    """Where the windows lie in the recording; the one window of a repeated clip is the whole recording."""
    if analysed_seconds < WINDOW_S:
        return [(0.0, analysed_seconds)]
    frame_s = HOP / SAMPLE_RATE_HZ
    return [(start * frame_s, min((start + step) * frame_s, analysed_seconds)) for start in starts]


def colour_indices(decibels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Spread a picture's own range of levels over the 256 colours; one flat level is the darkest colour."""
    low, high = decibels.min(), decibels.max()
    if low == high:
        return np.zeros(decibels.shape, np.uint8)
    scaled = (decibels - low) / (high - low) * _COLOURS
    indices: NDArray[np.uint8] = np.minimum(scaled, _COLOURS - 1).astype(np.uint8)
    return indices


def figure_cells(frames: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Which bin each row of a figure shows, (369,), and which of a window's frames each column, (496,)."""
    rows = np.arange(FIGURE_HEIGHT)[::-1] + 0.5
    columns = np.arange(FIGURE_WIDTH) + 0.5
    bins = (rows / _FIGURE_HEIGHT_EXACT * BINS).astype(np.int64)
    return bins, (columns / FIGURE_WIDTH * frames).astype(np.int64)


def figure(decibels: NDArray[np.float32]) -> Image.Image:
    """What matplotlib draws of a window (84, frames): RGB, 496 x 369, low frequencies at the bottom."""
    bins, frames = figure_cells(decibels.shape[1])
    cells = Image.fromarray(colour_indices(decibels).take(frames, axis=1).take(bins, axis=0))
    cells.putpalette(MAGMA)
    return cells.convert("RGB")


def picture(decibels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """One window (84, frames) as the network sees it: uint8 RGB, (224, 224, 3)."""
    compressed = io.BytesIO()
    figure(decibels).save(compressed, "JPEG", quality=_JPEG_QUALITY)
    with Image.open(compressed) as drawn:
        shrunk = drawn.convert("RGB").resize((PICTURE_SIDE, PICTURE_SIDE), Image.Resampling.BILINEAR)
    pixels: NDArray[np.uint8] = np.asarray(shrunk)
    return pixels


def spectrogram_of(decibels: NDArray[np.float32], clip: Clip) -> bytes:
    """The picture for people of a clip's levels, without what was repeated to fill a window."""
    return spectrogram_png(decibels[:, : 1 + len(clip.samples) // HOP])


def spectrogram_png(decibels: NDArray[np.float32]) -> bytes:
    """A clip (84, frames) for people to look at: a column a frame, four rows a bin, low frequencies at the bottom."""
    indices = np.repeat(colour_indices(decibels)[::-1], _SPECTROGRAM_ROWS_PER_BIN, axis=0)
    image = Image.fromarray(indices)
    image.putpalette(MAGMA)
    content = io.BytesIO()
    image.save(content, "PNG", compress_level=_PNG_LEVEL)
    return content.getvalue()
