"""What the stretches of a long recording add up to: one timeline, one overview picture, one analysis."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from app.domain.results import Window
from app.inference.contracts import Analysis, Clip, Heard, Stretch
from app.inference.overview import Overview

# Hours of windows are stored and sent with each result.
_DECIMALS = 5
# Less new sound than this is no reason for a window: starts and ends are rounded to the samples of a stretch.
_NEW_SOUND_S = 0.1


def judged(spans_s: Sequence[tuple[float, float]], probabilities: NDArray[np.floating]) -> list[Window]:
    """The windows of a result."""
    rows = np.clip(probabilities, 0, 1).tolist()
    return [Window(start_s, end_s, row) for (start_s, end_s), row in zip(spans_s, rows, strict=True)]


class WholeRecording:
    """Takes the stretches in their order."""

    def __init__(self) -> None:
        self._clip: Clip | None = None
        self._windows: list[Window] = []
        self._overview = Overview()
        self._audible = False
        self._decode_ms = self._features_ms = self._forward_ms = 0.0

    def add(self, stretch: Stretch, heard: Heard, decode_ms: float) -> None:
        """A stretch and what was heard in it."""
        self._clip = stretch.clip
        self._audible = self._audible or stretch.clip.audible
        self._decode_ms += decode_ms
        self._features_ms += heard.features_ms
        self._forward_ms += heard.scores.forward_ms
        self._append(judged(self._placed(stretch, heard), _rounded(heard.scores.probabilities)))
        until_s = stretch.start_s + heard.windows.analysed_seconds if stretch.last else self._windows[-1].end_s
        self._overview.add(heard.windows.spectrogram_png, stretch.start_s, until_s)

    def _append(self, windows: Sequence[Window]) -> None:
        """Leaves out what the windows before and after it hear already: the last stretch reaches back over others."""
        ends_s = [*(window.start_s for window in windows[1:]), windows[-1].end_s]
        for window, needed_until_s in zip(windows, ends_s, strict=True):
            if not self._windows or needed_until_s - self._windows[-1].end_s > _NEW_SOUND_S:
                self._windows.append(window)

    def analysis(self) -> Analysis:
        """Everything together; there must have been a stretch."""
        assert self._clip is not None
        clip = self._clip
        return Analysis(
            clip=Clip(
                samples=np.zeros(0, np.float32),
                duration_s=clip.duration_s,
                sample_rate_hz=clip.sample_rate_hz,
                channels=clip.channels,
                title=clip.title,
                artist=clip.artist,
                audible=self._audible,
            ),
            windows=self._windows,
            analysed_seconds=clip.duration_s,
            spectrogram_png=self._overview.png(),
            decode_ms=self._decode_ms,
            features_ms=self._features_ms,
            forward_ms=self._forward_ms,
        )

    @staticmethod
    def _placed(stretch: Stretch, heard: Heard) -> list[tuple[float, float]]:
        """The windows' spans within the recording."""
        spans_s = heard.windows.spans_s
        return [(round(stretch.start_s + start_s, 3), round(stretch.start_s + end_s, 3)) for start_s, end_s in spans_s]


def _rounded(probabilities: NDArray[np.float32]) -> NDArray[np.float64]:
    """In float64: rounded numbers in float32 get all their digits back on the way to Python's floats."""
    rounded: NDArray[np.float64] = probabilities.astype(np.float64).round(_DECIMALS)
    return rounded
