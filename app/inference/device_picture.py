"""Transform and pictures on a GPU: the same as ``picture``, with nothing but the samples going there and pictures coming back."""

from __future__ import annotations

from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.inference.contracts import PICTURE_SIDE, SAMPLE_RATE_HZ, Clip, Windows
from app.inference.cqt import LibrosaCQT
from app.inference.jpeg import jpeg
from app.inference.magma import MAGMA
from app.inference.picture import (
    DYNAMIC_RANGE_DB,
    FIGURE_HEIGHT,
    FIGURE_WIDTH,
    POWER_FLOOR,
    figure_cells,
    long_enough,
    spans_s,
    spectrogram_of,
    window_frames,
)

_COLOURS = 256


class DeviceFeatureExtractor:
    """Implements ``contracts.Featurizer``. Threads may share one: nothing in it changes after construction."""

    def __init__(self, device: torch.device) -> None:
        self._device = device
        self._cqt = LibrosaCQT().eval().to(device)
        palette = np.frombuffer(MAGMA, np.uint8).reshape(_COLOURS, 3)
        self._palette = torch.tensor(palette, dtype=torch.float32, device=device)
        self._shrink_rows = _shrinking(FIGURE_HEIGHT).to(device)
        self._shrink_columns = _shrinking(FIGURE_WIDTH).to(device)

    def windows(self, clip: Clip) -> Windows:
        samples = long_enough(clip.samples)
        with torch.inference_mode():
            decibels = self._decibels(samples)
            starts, step = window_frames(decibels.shape[1], len(samples) / SAMPLE_RATE_HZ)
            pictures = self._pictures(torch.stack([decibels[:, start : start + step] for start in starts]))
        analysed_seconds = len(clip.samples) / SAMPLE_RATE_HZ
        return Windows(
            pictures=cast("NDArray[np.uint8]", pictures.cpu().numpy()),
            spans_s=spans_s(starts, step, analysed_seconds),
            analysed_seconds=analysed_seconds,
            spectrogram_png=spectrogram_of(decibels.cpu().numpy(), clip),
        )

    def _decibels(self, samples: NDArray[np.float32]) -> Tensor:
        magnitudes = self._cqt(torch.from_numpy(samples).to(self._device).unsqueeze(0))[0]
        levels_db = 10 * torch.log10((magnitudes**2).clamp(min=POWER_FLOOR))
        relative_db: Tensor = (levels_db - levels_db.max()).clamp(min=-DYNAMIC_RANGE_DB)
        return relative_db

    def _pictures(self, decibels: Tensor) -> Tensor:
        """Windows (batch, 84, frames) to pictures uint8 (batch, 224, 224, 3)."""
        low, high = decibels.amin((1, 2), keepdim=True), decibels.amax((1, 2), keepdim=True)
        # Where all is one level, 0 / 0 would be asked for: that is the darkest colour.
        shares = (decibels - low) / torch.where(high > low, high - low, 1)
        colours = (shares * _COLOURS).clamp(max=_COLOURS - 1).long()
        bins, frames = (torch.from_numpy(cells).to(self._device) for cells in figure_cells(decibels.shape[2]))
        drawn = self._palette[colours[:, bins[:, None], frames]].permute(0, 3, 1, 2)
        compressed = jpeg(drawn)
        narrow = (compressed @ self._shrink_columns.T).round().clamp(0, 255)  # Pillow rounds between the two as well
        small = (self._shrink_rows @ narrow).round().clamp(0, 255)
        return small.to(torch.uint8).permute(0, 2, 3, 1).contiguous()


def _shrinking(size: int) -> Tensor:
    """The weights of Pillow's bilinear shrinking to the picture's side: (224, size), a triangle as wide as two old pixels."""
    scale = size / PICTURE_SIDE
    centres = (torch.arange(PICTURE_SIDE, dtype=torch.float64) + 0.5) * scale
    places = torch.arange(size, dtype=torch.float64) + 0.5
    weights = (1 - (places - centres.unsqueeze(1)).abs() / scale).clamp(min=0)
    return (weights / weights.sum(dim=1, keepdim=True)).float()
