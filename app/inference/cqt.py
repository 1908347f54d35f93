"""The constant-Q transform as an nnAudio layer that agrees with librosa to the pixel."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from app.inference.contracts import SAMPLE_RATE_HZ
from app.inference.cqt_kernels import (
    BINS,
    BINS_PER_OCTAVE,
    HOP,
    LOWEST_HZ,
    OCTAVES,
    OctaveKernels,
    halving_kernel,
    octave_kernels,
)
from app.inference.scipy_windows import windows_alone

with windows_alone():
    from nnAudio.features.cqt import CQT1992v2

# The octaves below the third read the signal halved so many times: an eighth of the samples.
_HALVINGS = 3
_FACTOR = 2**_HALVINGS
_LOW_HOP = HOP // _FACTOR
_PARTS = 2 * BINS_PER_OCTAVE  # of a frame and octave: real parts, then imaginary parts


class LibrosaCQT(CQT1992v2):  # type: ignore[misc]  # nnAudio has no type hints
    """nnAudio's CQT1992v2 with librosa's own kernels in its buffers, and a faster way to apply them.

    With nnAudio's kernels the pictures are 0.008 (on [0, 1]) away from those the public checkpoint was trained on, with
    these 0.00005. A convolution that strides by the hop reads each sample 33 times; here the signal is cut into blocks of
    one hop, the kernels likewise, and a transform is one matrix product and a sum. The four lowest octaves, whose kernels
    are long, are applied to the signal at an eighth of its rate, which is itself such a product.
    """

    def __init__(self) -> None:
        super().__init__(
            sr=SAMPLE_RATE_HZ,
            hop_length=HOP,
            fmin=LOWEST_HZ,
            n_bins=BINS,
            bins_per_octave=BINS_PER_OCTAVE,
            pad_mode="constant",
            verbose=False,
        )
        self._fill_buffers_of_nnaudio()
        high = octave_kernels(range(_HALVINGS))
        low = octave_kernels(range(_HALVINGS, OCTAVES), halvings=_HALVINGS)
        self.high_columns = self._add_blocks("high_kernels", high, HOP)
        self.low_columns = self._add_blocks("low_kernels", low, _LOW_HOP)
        halving = halving_kernel(_HALVINGS)
        self.halving_reach = _blocks_reached(halving, HOP, HOP - _FACTOR)
        self.register_buffer("halving_kernels", torch.from_numpy(_halving_blocks(halving, self.halving_reach)))
        self.low_reach = max(_blocks_reached(octave, _LOW_HOP) for octave in low)

    def _fill_buffers_of_nnaudio(self) -> None:
        octaves = octave_kernels(range(OCTAVES))
        reach = max(_blocks_reached(octave, HOP) for octave in octaves)
        kernels = np.concatenate([_centred(octave, reach * HOP) for octave in octaves])
        self.kernel_width = 2 * reach * HOP
        # nnAudio takes the negative of the imaginary part's convolution, and scales by the root of these lengths (sic).
        self.register_buffer("cqt_kernels_real", torch.from_numpy(kernels.real).float().unsqueeze(1))
        self.register_buffer("cqt_kernels_imag", torch.from_numpy(-kernels.imag).float().unsqueeze(1))
        self.register_buffer("lenghts", torch.ones(BINS))

    def _add_blocks(self, name: str, octaves: list[OctaveKernels], hop: int) -> list[int]:
        """Keep the octaves' kernels as one matrix, and say how many of its columns are each octave's."""
        parts = [_block_kernels(octave, hop) for octave in octaves]
        self.register_buffer(name, torch.from_numpy(np.concatenate(parts, axis=1)))
        return [part.shape[1] for part in parts]

    def forward(self, samples: Tensor) -> Tensor:
        """Magnitudes of a batch of signals at 22,050 Hz.

        Args:
            samples: float32, (batch, samples).

        Returns:
            float32, (batch, 84, 1 + samples // 512), lowest frequency first; frame ``t`` is centred on sample 512 t.
        """
        frames = 1 + samples.shape[-1] // HOP
        margin = self.low_reach + self.halving_reach
        blocks = frames + 2 * margin
        padded = functional.pad(samples, (margin * HOP, (blocks - margin) * HOP - samples.shape[-1]))
        padded = padded.view(len(samples), blocks, HOP)
        low_products = self._eighth(padded) @ self.get_buffer("low_kernels")
        high_products = padded @ self.get_buffer("high_kernels")
        low = [_magnitudes(part, frames, self.low_reach) for part in low_products.split(self.low_columns, dim=-1)]
        high = [_magnitudes(part, frames, margin) for part in high_products.split(self.high_columns, dim=-1)]
        return torch.cat([*low, *high], dim=-1).transpose(1, 2)

    def _eighth(self, blocks: Tensor) -> Tensor:
        """The signal at an eighth of its rate: (batch, blocks, 512) to (batch, fewer blocks, 64)."""
        products = blocks @ self.get_buffer("halving_kernels")
        reach = self.halving_reach
        return _diagonal_sums(products, blocks.shape[1] - 2 * reach, 0, _LOW_HOP)


def _magnitudes(products: Tensor, frames: int, centre: int) -> Tensor:
    """The magnitudes of one octave, (batch, frames, 12); the kernels of frame 0 are centred on the block ``centre``."""
    reach = products.shape[-1] // _PARTS // 2
    real, imaginary = _diagonal_sums(products, frames, centre - reach, _PARTS).chunk(2, dim=-1)
    return torch.hypot(real, imaginary)


def _diagonal_sums(products: Tensor, rows: int, first: int, parts: int) -> Tensor:
    """Sum products along each kernel: (batch, blocks, columns) to (batch, rows, parts).

    A kernel lies over consecutive blocks, of which row 0 begins with ``first``, so its parts lie on a diagonal.
    """
    batch, _, columns = products.shape
    across, down, along = products.stride()
    begin = products[:, first:]
    shape = (batch, rows, columns // parts, parts)
    diagonals = begin.as_strided(shape, (across, down, down + parts * along, along), begin.storage_offset())
    return diagonals.sum(dim=2)


def _blocks_reached(kernels: OctaveKernels, hop: int, later: int = 0) -> int:
    """Blocks of one hop that the kernels touch on either side of their centre, the last of them centred ``later``."""
    return math.ceil(max(kernels.centre, len(kernels.values[0]) - kernels.centre + later) / hop)


def _centred(octave: OctaveKernels, reach: int) -> NDArray[np.complex128]:
    """The kernels padded to ``2 * reach`` samples, with the frame's centre in the middle."""
    before = reach - octave.centre
    after = 2 * reach - before - octave.values.shape[1]
    return np.pad(octave.values, ((0, 0), (before, after)))


def _block_kernels(octave: OctaveKernels, hop: int) -> NDArray[np.float32]:
    """The kernels cut into blocks of one hop, (hop, blocks * 24); in each block real parts, then imaginary parts."""
    kernels = _centred(octave, _blocks_reached(octave, hop) * hop)
    parts = np.concatenate([kernels.real, kernels.imag]).astype(np.float32)
    return parts.reshape(len(parts), -1, hop).transpose(2, 1, 0).reshape(hop, -1)


def _halving_blocks(halving: OctaveKernels, reach: int) -> NDArray[np.float32]:
    """The kernel of each of a block's 64 samples at an eighth of the rate, (512, blocks * 64)."""
    span = (2 * reach + 1) * HOP
    kernels = np.zeros((_LOW_HOP, span), np.float32)
    taps = halving.values[0].real.astype(np.float32)
    for sample, kernel in enumerate(kernels):
        begin = reach * HOP + sample * _FACTOR - halving.centre
        kernel[begin : begin + len(taps)] = taps
    return kernels.reshape(_LOW_HOP, -1, HOP).transpose(2, 1, 0).reshape(HOP, -1)
