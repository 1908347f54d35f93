"""A spectrogram of hours that still fits on a page: columns are merged two by two whenever they get too many."""

from __future__ import annotations

import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from app.inference.contracts import SAMPLE_RATE_HZ
from app.inference.cqt_kernels import BINS, HOP
from app.inference.magma import MAGMA

LARGEST_COLUMNS = 4_096
_FRAME_S = HOP / SAMPLE_RATE_HZ


class Overview:
    """Takes the spectrograms of the stretches in their order, each from where the one before ended."""

    def __init__(self) -> None:
        self._columns = np.zeros((BINS, 0), np.float32)
        self._pending = np.zeros((BINS, 0), np.float32)  # fewer frames than a column has
        self._frames_per_column = 1
        self._until_s = 0.0

    def add(self, spectrogram_png: bytes, start_s: float, until_s: float) -> None:
        """``start_s``: where the spectrogram begins; ``until_s``: how much of the recording is told now."""
        with Image.open(io.BytesIO(spectrogram_png)) as image:
            levels = np.asarray(image)
        first, end = (round((moment_s - start_s) / _FRAME_S) for moment_s in (self._until_s, until_s))
        frames = levels[:: len(levels) // BINS, first:end].astype(np.float32)
        self._until_s = until_s
        self._pending = np.concatenate([self._pending, frames], axis=1)
        self._columns = np.concatenate([self._columns, self._whole_columns()], axis=1)
        while self._columns.shape[1] > LARGEST_COLUMNS:
            self._halve()

    def png(self) -> bytes:
        """As ``picture.spectrogram_png`` draws a clip."""
        rest = self._pending.mean(axis=1, keepdims=True) if self._pending.size else self._pending
        levels = np.concatenate([self._columns, rest], axis=1)
        indices = np.repeat(np.rint(levels).astype(np.uint8), 4, axis=0)
        image = Image.fromarray(indices)
        image.putpalette(MAGMA)
        content = io.BytesIO()
        image.save(content, "PNG")
        return content.getvalue()

    def _whole_columns(self) -> NDArray[np.float32]:
        count = self._pending.shape[1] // self._frames_per_column
        frames = self._pending[:, : count * self._frames_per_column]
        self._pending = self._pending[:, count * self._frames_per_column :]
        columns: NDArray[np.float32] = frames.reshape(BINS, count, self._frames_per_column).mean(axis=2)
        return columns

    def _halve(self) -> None:
        even = self._columns.shape[1] // 2 * 2
        self._pending = np.concatenate(
            [np.repeat(self._columns[:, even:], self._frames_per_column, axis=1), self._pending], axis=1
        )
        self._columns = self._columns[:, :even].reshape(BINS, -1, 2).mean(axis=2)
        self._frames_per_column *= 2
