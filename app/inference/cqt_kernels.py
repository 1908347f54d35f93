"""The time-domain kernels of librosa's constant-Q transform, computed without librosa.

The public checkpoint was trained on pictures of ``librosa.cqt``. That transform walks down the octaves: it halves the
sample rate with soxr, then applies the same short filters again (Schörkhuber and Klapuri, "Constant-Q transform toolbox
for music processing", 2010). Every step is linear and repeats each hop, so the whole is one long kernel a bin: the short
filter carried back through the halvings. Differences from librosa remain only where a recording begins or ends, because
librosa cuts the half-rate signals to length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from app.inference.contracts import SAMPLE_RATE_HZ

HOP = 512
BINS = 84
BINS_PER_OCTAVE = 12
LOWEST_HZ = 32.70319566257483  # C1
OCTAVES = BINS // BINS_PER_OCTAVE

_SPARSITY = 0.01  # librosa's default: the share of each filter's spectrum that is dropped
# Kernel values under this share of their octave's peak are cut off at both ends. Pictures reach down to 1e-4.
_TRIM = 3e-5
_HALVING_TRIM = 1e-7  # likewise for the filter that all lower octaves pass through
_RATIO = 2.0 ** (2 / BINS_PER_OCTAVE)
_QUALITY = (_RATIO + 1) / (_RATIO - 1)  # centre frequency over bandwidth

Kernel = NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class OctaveKernels:
    """``values``: (bins, taps), lowest bin first. Tap ``i`` weighs the sample ``i - centre`` away from a frame's centre."""

    values: Kernel
    centre: int


def _frequencies_hz() -> NDArray[np.float64]:
    return LOWEST_HZ * 2.0 ** (np.arange(BINS) / BINS_PER_OCTAVE)


def _wavelet(frequency_hz: float) -> Kernel:
    """A Hann-windowed complex tone of Q periods whose magnitudes sum to 1."""
    length = _QUALITY * SAMPLE_RATE_HZ / frequency_hz
    times = np.arange(-length // 2, length // 2)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(len(times)) / len(times))
    tone = np.exp(2j * np.pi * frequency_hz / SAMPLE_RATE_HZ * times)
    return np.asarray(hann * tone / hann.sum(), np.complex128)


def _sparse(spectrum: Kernel) -> Kernel:
    """Drop the weakest entries that together hold less than ``_SPARSITY`` of the summed magnitude."""
    magnitudes = np.abs(spectrum)
    ordered = np.sort(magnitudes)
    held = np.cumsum(ordered) / ordered.sum()
    threshold = ordered[np.argmin(held < _SPARSITY)]
    return np.where(magnitudes >= threshold, spectrum, 0)


def _top_octave() -> OctaveKernels:
    """The filters of the highest octave. At half the rate they are those of the octave below, and so on."""
    frequencies_hz = _frequencies_hz()[-BINS_PER_OCTAVE:]
    lengths = _QUALITY * SAMPLE_RATE_HZ / frequencies_hz
    taps = int(2.0 ** np.ceil(np.log2(lengths.max())))
    rows = []
    for frequency_hz, length in zip(frequencies_hz, lengths, strict=True):
        wavelet = _wavelet(float(frequency_hz))
        before = (taps - len(wavelet)) // 2
        padded = np.pad(wavelet, (before, taps - len(wavelet) - before)) * (length / taps)
        positive = np.zeros(taps, np.complex128)
        positive[: taps // 2 + 1] = _sparse(np.fft.fft(padded)[: taps // 2 + 1])
        rows.append(np.fft.fft(positive) / np.sqrt(length))
    return OctaveKernels(np.array(rows), taps // 2)


def _halving_filter() -> NDArray[np.float64]:
    """Impulse response of soxr's HQ resampling by one half at unit energy gain, (511,), centre in the middle.

    Read off two impulses: one on an even sample gives the even taps, one on an odd sample the odd taps.
    """
    reach, middle = 255, 1024
    response = np.zeros(2 * reach + 1)
    for offset in (0, 1):
        impulse = np.zeros(2 * middle)
        impulse[middle + offset] = np.sqrt(2.0)
        halved = soxr.resample(impulse, 2, 1, "HQ")
        distances = 2 * np.arange(len(halved)) - (middle + offset)
        near = np.abs(distances) <= reach
        response[reach + distances[near]] = halved[near]
    return response


def _at_double_rate(kernels: OctaveKernels, halving: NDArray[np.float64]) -> OctaveKernels:
    """Carry kernels that read a halved signal back to the signal before the halving."""
    spread = np.zeros((len(kernels.values), 2 * kernels.values.shape[1] - 1), np.complex128)
    spread[:, ::2] = kernels.values
    taps = spread.shape[1] + len(halving) - 1
    size = 1 << (taps - 1).bit_length()
    product = np.fft.fft(spread, size) * np.fft.fft(halving[::-1], size)
    return OctaveKernels(np.fft.ifft(product)[:, :taps], 2 * kernels.centre + len(halving) // 2)


def _trimmed(kernels: OctaveKernels, share: float) -> OctaveKernels:
    peaks = np.abs(kernels.values).max(axis=0)
    kept = np.flatnonzero(peaks > share * peaks.max())
    first, last = int(kept[0]), int(kept[-1])
    return OctaveKernels(kernels.values[:, first : last + 1], kernels.centre - first)


def octave_kernels(octaves: range, *, halvings: int = 0) -> list[OctaveKernels]:
    """The kernels of some octaves (0 is the highest), lowest first, for a signal halved that many times already."""
    halving = _halving_filter()
    found = []
    for octave in octaves:
        kernels = _top_octave()
        for _ in range(octave - halvings):
            kernels = _at_double_rate(kernels, halving)
        found.append(_trimmed(kernels, _TRIM))
    return found[::-1]


def halving_kernel(halvings: int) -> OctaveKernels:
    """One kernel, (1, taps), real: what a sample after so many halvings is made of."""
    halving = _halving_filter()
    kernel = OctaveKernels(np.ones((1, 1), np.complex128), 0)
    for _ in range(halvings):
        kernel = _at_double_rate(kernel, halving)
    return _trimmed(kernel, _HALVING_TRIM)
