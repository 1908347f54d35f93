"""What the compute layer promises to those who call it. No torch here: tests and stand-ins import this too."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from app.domain.results import Window

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SAMPLE_RATE_HZ = 22_050
ANALYSED_SECONDS = 30.0
WINDOW_S = 11.4
MINIMUM_S = 0.5
MAXIMUM_HOURS = 24
PICTURE_SIDE = 224


@dataclass(frozen=True, slots=True)
class Clip:
    """The decoded beginning of a recording and what its file says about itself.

    ``samples``: float32, mono, (samples,), 22,050 Hz, at most ANALYSED_SECONDS long.
    """

    samples: NDArray[np.float32]
    duration_s: float
    sample_rate_hz: int
    channels: int
    title: str | None
    artist: str | None
    audible: bool


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a long recording, as a clip; the clip's other facts are those of the whole recording, as far as known.

    ``start_s``: where it begins. ``progress``: how much of the recording is heard with it, from 0 to 1; None where the header
    does not tell the length. ``last``: the recording ends with it, and its length is known now.
    """

    clip: Clip
    start_s: float
    progress: float | None
    last: bool


@dataclass(frozen=True, slots=True)
class Windows:
    """The pictures the network sees of one clip.

    ``pictures``: uint8 RGB, (windows, 224, 224, 3). ``spans_s``: start and end of each window within the recording.
    ``spectrogram_png``: the whole clip as a picture for people.
    """

    pictures: NDArray[np.uint8]
    spans_s: list[tuple[float, float]]
    analysed_seconds: float
    spectrogram_png: bytes


@dataclass(frozen=True, slots=True)
class Scores:
    """``probabilities``: float32, (windows, 16), each row sums to 1. ``forward_ms``: the batch's forward pass."""

    probabilities: NDArray[np.float32]
    forward_ms: float


@dataclass(frozen=True, slots=True)
class Heard:
    """What the network says to the windows of one clip."""

    windows: Windows
    scores: Scores
    features_ms: float


@dataclass(frozen=True, slots=True)
class Analysis:
    """Everything the compute layer has to say about one file, and how long its stages took.

    ``pictures``: what the network saw, if that is little enough to be kept for a while.
    """

    clip: Clip
    windows: list[Window]
    analysed_seconds: float
    spectrogram_png: bytes
    decode_ms: float
    features_ms: float
    forward_ms: float
    pictures: NDArray[np.uint8] | None = None


class Network(Protocol):
    """The part that touches the device."""

    @property
    def batch_windows(self) -> int:
        """The best number of windows in one batch, as far as is known by now."""
        ...

    @property
    def batches_in_flight(self) -> int:
        """How many threads may call ``forward`` at once; always the same."""
        ...

    def forward(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures uint8 (batch, 224, 224, 3) to probabilities float32 (batch, 16)."""
        ...


class Decoder(Protocol):
    @property
    def at_once(self) -> int:
        """How many files are decoded at once; more wait."""
        ...

    async def decode(self, content: bytes) -> Clip:
        """Decode, mix to mono and resample the first 30 s in a sandboxed process.

        Raises:
            AnalysisFailed: the file can't be decoded; says why.
        """
        ...


class LongDecoder(Protocol):
    def open(self, recording_fd: int) -> AbstractAsyncContextManager[AsyncIterator[Stretch]]:
        """Decode a whole recording stretch by stretch, in a sandboxed process; the last one is marked.

        Raises:
            AnalysisFailed: the file can't be decoded; says why. Also while the stretches are asked for.
        """
        ...


class Featurizer(Protocol):
    def windows(self, clip: Clip) -> Windows:
        """CQT and pictures of one clip (blocking; runs in a thread)."""
        ...
