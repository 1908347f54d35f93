"""The constant-Q transform as an nnAudio layer that agrees with librosa to the pixel."""

from __future__ import annotations

import math

import numpy as np
import torch
from nnAudio.features.cqt import CQT1992v2
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from app.inference.contracts import SAMPLE_RATE_HZ
from app.inference.cqt_kernels import BINS, BINS_PER_OCTAVE, HOP, LOWEST_HZ, OctaveKernels, octave_kernels


class LibrosaCQT(CQT1992v2):  # type: ignore[misc]  # nnAudio has no type hints
    """nnAudio's CQT1992v2 with librosa's own kernels in its buffers, and a faster way to apply them.

    With nnAudio's kernels the pictures are 0.008 (on [0, 1]) away from those the public checkpoint was trained on, with
    these 0.0001. A convolution that strides by the hop reads each sample 33 times; here the signal is cut into blocks of
    one hop, the kernels likewise, and the whole transform is one matrix product and a sum.
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
        octaves = octave_kernels()
        reach = max(_blocks_reached(octave) for octave in octaves)
        kernels = np.concatenate([_centred(octave, reach) for octave in octaves])
        self.kernel_width = 2 * reach * HOP
        # nnAudio takes the negative of the imaginary part's convolution, and scales by the root of these lengths (sic).
        self.register_buffer("cqt_kernels_real", torch.from_numpy(kernels.real).float().unsqueeze(1))
        self.register_buffer("cqt_kernels_imag", torch.from_numpy(-kernels.imag).float().unsqueeze(1))
        self.register_buffer("lenghts", torch.ones(BINS))
        block_kernels = [_block_kernels(octave) for octave in octaves]
        self.columns = [part.shape[1] for part in block_kernels]
        self.register_buffer("block_kernels", torch.from_numpy(np.concatenate(block_kernels, axis=1)))

    def forward(self, samples: Tensor) -> Tensor:
        """Magnitudes of a batch of signals at 22,050 Hz.

        Args:
            samples: float32, (batch, samples).

        Returns:
            float32, (batch, 84, 1 + samples // 512), lowest frequency first; frame ``t`` is centred on sample 512 t.
        """
        frames = 1 + samples.shape[-1] // HOP
        reach = self.kernel_width // (2 * HOP)
        total = (frames - 1 + 2 * reach) * HOP
        padded = functional.pad(samples, (reach * HOP, total - reach * HOP - samples.shape[-1]))
        products = padded.view(len(samples), -1, HOP) @ self.get_buffer("block_kernels")
        octaves = products.split(self.columns, dim=-1)
        return torch.cat([_summed(octave, frames, reach) for octave in octaves], dim=-1).transpose(1, 2)


def _summed(products: Tensor, frames: int, reach: int) -> Tensor:
    """Sum the products of one octave along each kernel: (batch, blocks, columns) to magnitudes (batch, frames, 12).

    A frame's kernel lies over consecutive blocks, so its parts lie on a diagonal of ``products``.
    """
    batch, _, columns = products.shape
    parts = 2 * BINS_PER_OCTAVE
    across, down, along = products.stride()
    count = columns // parts
    first = products[:, reach - count // 2 :]
    diagonals = first.as_strided(
        (batch, frames, count, parts), (across, down, down + parts * along, along), first.storage_offset()
    )
    real, imaginary = diagonals.sum(dim=2).chunk(2, dim=-1)
    return torch.hypot(real, imaginary)


def _blocks_reached(octave: OctaveKernels) -> int:
    """Blocks of one hop that the kernels touch on either side of a frame's centre."""
    return math.ceil(max(octave.centre, len(octave.values[0]) - octave.centre) / HOP)


def _centred(octave: OctaveKernels, reach: int) -> NDArray[np.complex128]:
    """The kernels padded to ``2 * reach`` blocks, with the frame's centre in the middle."""
    before = reach * HOP - octave.centre
    after = 2 * reach * HOP - before - octave.values.shape[1]
    return np.pad(octave.values, ((0, 0), (before, after)))


def _block_kernels(octave: OctaveKernels) -> NDArray[np.float32]:
    """The kernels cut into blocks of one hop, (512, blocks * 24); in each block real parts, then imaginary parts."""
    kernels = _centred(octave, _blocks_reached(octave))
    parts = np.concatenate([kernels.real, kernels.imag]).astype(np.float32)
    return parts.reshape(len(parts), -1, HOP).transpose(2, 1, 0).reshape(HOP, -1)
