"""What a JPEG file of quality 75 does to a picture, computed in torch on whichever device: the model learned from such pictures.

Only what loses something is computed, as libjpeg does it by default (ITU-T T.81; chroma at half the resolution both ways, averaged
with alternating bias, and interpolated linearly between neighbours afterwards). What is lossless, the packing, is left out.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional

_BLOCK = 8
_LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)  # T.81, table K.1
_CHROMINANCE_CORNER = (
    (17, 18, 24, 47),
    (18, 21, 26, 66),
    (24, 26, 56, 99),
    (47, 66, 99, 99),
)  # table K.2; 99 elsewhere
_REST = 99
_SCALE_PERCENT = 50  # libjpeg's for quality 75
_TO_YCC = ((0.299, 0.587, 0.114), (-0.168735892, -0.331264108, 0.5), (0.5, -0.418687589, -0.081312411))
_TO_RGB = ((1.0, 0.0, 1.402), (1.0, -0.344136286, -0.714136286), (1.0, 1.772, 0.0))
_MIDDLE = 128.0


def jpeg(pictures: Tensor) -> Tensor:
    """Pictures (batch, 3, height, width), RGB, whole numbers 0 to 255 as float32, as they come out of a JPEG file."""
    height, width = pictures.shape[-2:]
    ycc = torch.einsum("ck,bkhw->bchw", pictures.new_tensor(_TO_YCC), pictures)
    ycc[:, 1:] += _MIDDLE
    ycc = _padded(_whole(ycc), 2 * _BLOCK)
    luminance = _coarse(ycc[:, :1], _quantisers(_LUMINANCE, pictures))
    chroma = _coarse(_halved(ycc[:, 1:]), _quantisers(_chrominance(), pictures))
    chroma = chroma[..., : math.ceil(height / 2), : math.ceil(width / 2)]
    whole = torch.cat([luminance[..., :height, :width], _doubled(chroma)[..., :height, :width]], dim=1)
    whole[:, 1:] -= _MIDDLE
    return _whole(torch.einsum("ck,bkhw->bchw", pictures.new_tensor(_TO_RGB), whole))


def _whole(values: Tensor) -> Tensor:
    return values.round().clamp(0, 255)


def _padded(planes: Tensor, multiple: int) -> Tensor:
    height, width = planes.shape[-2:]
    return functional.pad(planes, (0, -width % multiple, 0, -height % multiple), mode="replicate")


def _halved(planes: Tensor) -> Tensor:
    """Means of two by two, rounded down and up in turns."""
    sums = 4 * functional.avg_pool2d(planes, 2)
    bias = 1 + torch.arange(sums.shape[-1], device=planes.device) % 2
    return ((sums + bias) / 4).floor()


def _doubled(planes: Tensor) -> Tensor:
    """Twice the size: each new value is three parts of the nearest old one and one of the next nearest, both ways."""
    rows = _between(planes, dim=-2)
    columns = _between(rows, dim=-1)
    odd = torch.arange(columns.shape[-1], device=planes.device) % 2
    return ((columns + 8 - odd) / 16).floor()


def _between(planes: Tensor, dim: int) -> Tensor:
    size = planes.shape[dim]
    places = torch.arange(size, device=planes.device)
    before = planes.index_select(dim, (places - 1).clamp(min=0))
    after = planes.index_select(dim, (places + 1).clamp(max=size - 1))
    pairs = torch.stack([3 * planes + before, 3 * planes + after], dim=dim % planes.ndim + 1)
    return pairs.flatten(dim % planes.ndim, dim % planes.ndim + 1)


def _coarse(planes: Tensor, quantisers: Tensor) -> Tensor:
    """Cosine transform of each block, rounded to multiples of the quantisers, and back."""
    cosine = _cosine(planes)
    batch, channels, height, width = planes.shape
    blocks = planes.view(batch, channels, height // _BLOCK, _BLOCK, width // _BLOCK, _BLOCK).transpose(3, 4) - _MIDDLE
    coefficients = cosine @ blocks @ cosine.T
    kept = (coefficients / quantisers).round() * quantisers
    restored = cosine.T @ kept @ cosine + _MIDDLE
    return _whole(restored.transpose(3, 4).reshape(batch, channels, height, width))


def _cosine(like: Tensor) -> Tensor:
    """The orthonormal cosine transform of 8 values, (8, 8)."""
    places = torch.arange(_BLOCK, device=like.device, dtype=torch.float64)
    waves = torch.cos(math.pi / _BLOCK * (places + 0.5) * places.unsqueeze(1)) * math.sqrt(2 / _BLOCK)
    waves[0] /= math.sqrt(2)
    return waves.to(like.dtype)


def _quantisers(table: tuple[tuple[int, ...], ...], like: Tensor) -> Tensor:
    return ((like.new_tensor(table) * _SCALE_PERCENT + 50) / 100).floor().clamp(min=1)


def _chrominance() -> tuple[tuple[int, ...], ...]:
    rest = (_REST,) * (_BLOCK // 2)
    return (*((*row, *rest) for row in _CHROMINANCE_CORNER), *(rest + rest for _ in rest))
