"""A whole recording as stretches of 30 s, each as the analysis of a single clip wants it. Runs inside a decoder process.

The stretches overlap, so that the windows in their middles lie edge to edge: a window of a long recording is exactly what
the same 30 s around it would give if they were a file of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from app.domain.failures import AnalysisFailed, FailureCode
from app.inference.audio import check_length, clean_tag, is_audible, mix_to_mono
from app.inference.contracts import ANALYSED_SECONDS, MAXIMUM_HOURS, SAMPLE_RATE_HZ, Clip, Stretch
from app.inference.readers import Block, OpenRecording, open_recording

STRETCH_SAMPLES = int(ANALYSED_SECONDS * SAMPLE_RATE_HZ)
# The two windows of 30 s together have 980 frames of 512 samples.
ADVANCE_SAMPLES = 980 * 512


def read_stretches(path: str) -> Iterator[Stretch]:
    """All of a recording; the last stretch ends where the recording ends. Holds little more than one of them in memory.

    Raises:
        AnalysisFailed: as ``audio.decode_file``.
    """
    with open_recording(path) as recording:
        yield from _Cutter(recording).stretches()


@dataclass(frozen=True, slots=True)
class _Shape:
    """What the first block says of the file."""

    sample_rate_hz: int
    channels: int


class _Cutter:
    """Collects resampled sound and cuts it into stretches."""

    def __init__(self, recording: OpenRecording) -> None:
        self._recording = recording
        self._shape = _Shape(SAMPLE_RATE_HZ, 1)
        self._pending: list[NDArray[np.float32]] = []
        self._pending_samples = 0
        self._start = 0  # of what is pending, within the recording
        self._tail = np.zeros(0, np.float32)  # what was before: the last stretch reaches back into it

    def stretches(self) -> Iterator[Stretch]:
        for sound in self._resampled():
            self._pending.append(sound)
            self._pending_samples += len(sound)
            # Only what comes after a whole stretch tells that it is not the last one.
            while self._pending_samples > STRETCH_SAMPLES:
                yield self._next()
        end = self._start + self._pending_samples
        check_length(end / SAMPLE_RATE_HZ, self._recording.duration_s)
        yield self._last(end)

    def _resampled(self) -> Iterator[NDArray[np.float32]]:
        """Mono, 22,050 Hz, about a second at a time."""
        resampler: soxr.ResampleStream | None = None
        for block, rate_hz in _seconds(self._recording.blocks):
            if resampler is None:
                self._shape = _Shape(rate_hz, block.shape[1])
                resampler = soxr.ResampleStream(rate_hz, SAMPLE_RATE_HZ, 1, "float32", "HQ")
            yield resampler.resample_chunk(mix_to_mono(block))
        if resampler is not None:
            yield resampler.resample_chunk(np.zeros(0, np.float32), last=True)

    def _next(self) -> Stretch:
        sound = np.concatenate(self._pending)
        stretch = self._stretch(sound[:STRETCH_SAMPLES], self._start, last=False)
        self._tail = sound[:ADVANCE_SAMPLES]
        self._pending = [sound[ADVANCE_SAMPLES:]]
        self._pending_samples -= ADVANCE_SAMPLES
        self._start += ADVANCE_SAMPLES
        if self._start > MAXIMUM_HOURS * 3600 * SAMPLE_RATE_HZ:
            hours = round(self._start / SAMPLE_RATE_HZ / 3600, 1)
            raise AnalysisFailed(FailureCode.AUDIO_TOO_LONG, duration_h=hours, maximum_h=MAXIMUM_HOURS)
        return stretch

    def _last(self, end: int) -> Stretch:
        sound = np.concatenate([self._tail, *self._pending])[-STRETCH_SAMPLES:]
        return self._stretch(sound, end - len(sound), last=True)

    def _stretch(self, samples: NDArray[np.float32], start: int, *, last: bool) -> Stretch:
        end_s = (start + len(samples)) / SAMPLE_RATE_HZ
        header_s = self._recording.duration_s
        clip = Clip(
            samples=samples,
            duration_s=end_s if last else max(end_s, header_s or 0.0),
            sample_rate_hz=self._shape.sample_rate_hz,
            channels=self._shape.channels,
            title=clean_tag(self._recording.title),
            artist=clean_tag(self._recording.artist),
            audible=is_audible(samples),
        )
        progress = None if header_s is None else min(1.0, end_s / clip.duration_s)
        return Stretch(clip, start_s=start / SAMPLE_RATE_HZ, progress=1.0 if last else progress, last=last)


def _seconds(blocks: Iterator[Block]) -> Iterator[Block]:
    """Join the decoder's small blocks to such of about a second."""
    joined: list[NDArray[np.float32]] = []
    samples, rate_hz = 0, SAMPLE_RATE_HZ
    for block, rate_hz in blocks:
        joined.append(block)
        samples += len(block)
        if samples >= rate_hz:
            yield np.concatenate(joined), rate_hz
            joined, samples = [], 0
    if samples:
        yield np.concatenate(joined), rate_hz
