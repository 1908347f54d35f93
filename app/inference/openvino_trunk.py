"""The network's convolutions as a graph of OpenVINO, which on processors beats torch's own in every precision.

The graph is written down layer by layer: no converter, no file in between. For int8 it holds weights as integers with a
scale for each output channel, and rounds what enters each convolution to 256 levels; OpenVINO then computes with integers.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from openvino import opset13 as op
from torch import Tensor, nn

from app.inference.choices import Precision
from app.inference.contracts import PICTURE_SIDE
from app.inference.network import FEATURES
from app.inference.on_disk import OnDisk

# The largest value that enters each convolution, the first one apart: pictures lie in [-1, 1].
Peaks: TypeAlias = Sequence[float]

_LEVELS = 256
_LARGEST_INT8 = 127
_PICTURE_PEAK = 1.0
# The mark of OpenVINO's own models in half precision: the plugin does not widen such constants for good.
_STAYS_HALVED = "decompression_0"
_TINY = 1e-30  # in place of a range of nothing, where a whole layer is silent


@dataclass(frozen=True, slots=True)
class TrunkPlan:
    """``peaks``: needed for int8, and for it only. ``threads``: None for one on each core that this process may use."""

    precision: Precision
    peaks: Peaks | None = None
    threads: int | None = None

    @property
    def thread_count(self) -> int:
        return self.threads or default_threads()


class OpenVinoTrunk:
    """Pictures to the 25,088 features that the head sees. Keeps no batch size: every size works, the same ones faster."""

    def __init__(self, trunk: nn.Sequential, plan: TrunkPlan, *, watched: bool = False) -> None:
        self._constants = _Constants(plan.precision)
        model = _graph(trunk, self._constants, plan.peaks, watched=watched)
        self._compiled = ov.Core().compile_model(model, "CPU", _options(plan))
        self._request = self._compiled.create_infer_request()
        self._sizes: set[int] = set()

    def __call__(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures uint8 (batch, 224, 224, 3) to features float32 (batch, 25088)."""
        features: NDArray[np.float32] = self._infer(pictures)[0]
        return features

    def peaks(self, pictures: NDArray[np.uint8]) -> list[float]:
        """The largest value that enters each convolution but the first, of a trunk that is ``watched``."""
        return [float(peak) for peak in self._infer(pictures)[1:]]

    def _infer(self, pictures: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        if pictures.shape[1:] != (PICTURE_SIDE, PICTURE_SIDE, 3):
            raise ValueError(f"pictures must be (batch, {PICTURE_SIDE}, {PICTURE_SIDE}, 3), not {pictures.shape}")
        # Without a copy, because OpenVINO's own copy of the last input can't change its size.
        answers = self._request.infer([np.require(pictures, requirements=["C", "W"])], share_inputs=True)
        if len(pictures) not in self._sizes:
            self._sizes.add(len(pictures))
            self._constants.let_go()
        return [answers[index] for index in range(len(answers))]


def default_threads() -> int:
    return len(os.sched_getaffinity(0))


def _options(plan: TrunkPlan) -> dict[str, object]:
    return {
        "INFERENCE_PRECISION_HINT": "bf16" if plan.precision == "bf16" else "f32",
        "INFERENCE_NUM_THREADS": plan.thread_count,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,  # or two workers would share one core and leave the other idle
    }


def _graph(trunk: nn.Sequential, constants: _Constants, peaks: Peaks | None, *, watched: bool) -> ov.Model:
    pictures = op.parameter([-1, PICTURE_SIDE, PICTURE_SIDE, 3], np.uint8)
    channels_first = op.transpose(op.convert(pictures, "f32"), op.constant(np.array([0, 3, 1, 2])))
    layer = op.subtract(op.multiply(channels_first, _scalar(1 / 127.5)), _scalar(1))
    remaining = iter(peaks or ())
    entering = []
    for module in trunk:
        match module:
            case nn.Conv2d():
                entering.append(layer)
                if peaks is not None:
                    first = len(entering) == 1
                    layer = (
                        _rounded(layer, -_PICTURE_PEAK, _PICTURE_PEAK) if first else _rounded(layer, 0, next(remaining))
                    )
                layer = op.add(_convolution(layer, constants.weights(module.weight)), constants.bias(module))
            case nn.ReLU():
                layer = op.relu(layer)
            case nn.MaxPool2d():
                layer = op.max_pool(layer, [2, 2], [1, 1], [0, 0], [0, 0], [2, 2]).output(0)
    outputs = [op.reshape(layer, op.constant(np.array([0, FEATURES])), special_zero=True)]
    if watched:
        axes = op.constant(np.arange(4))
        outputs += [op.reduce_max(value, axes) for value in entering[1:]]
    return ov.Model(outputs, [pictures], "trunk")


def _convolution(layer: ov.Node, weights: ov.Node) -> ov.Node:
    one = [1, 1]
    return op.convolution(layer, weights, strides=one, pads_begin=one, pads_end=one, dilations=one)


def _rounded(layer: ov.Node, low: float, high: float) -> ov.Node:
    ends = _scalar(low), _scalar(max(high, _TINY))
    return op.fake_quantize(layer, *ends, *ends, _LEVELS)


def _scalar(value: float) -> ov.Node:
    return op.constant(np.float32(value))


class _Constants:
    """OpenVINO's constants made of torch's tensors. It reads them when it meets a new size of batch, and not otherwise."""

    def __init__(self, precision: Precision) -> None:
        self._precision = precision
        self._disk = OnDisk()
        self.let_go = self._disk.let_go

    def weights(self, weights: Tensor) -> ov.Node:
        match self._precision:
            case "int8":
                return self._integers(weights)
            case "bf16":
                return self._halves(weights)
            case "fp32":
                return self._constant(weights, ov.Type.f32)

    def bias(self, convolution: nn.Conv2d) -> ov.Node:
        assert convolution.bias is not None
        return op.constant(convolution.bias.view(1, -1, 1, 1).numpy())

    def _integers(self, weights: Tensor) -> ov.Node:
        scales = (weights.abs().amax(dim=(1, 2, 3), keepdim=True) / _LARGEST_INT8).clamp(min=_TINY)
        integers = self._constant(torch.round(weights / scales).to(torch.int8), ov.Type.i8)
        return op.multiply(op.convert(integers, "f32"), op.constant(scales.numpy()))

    def _halves(self, weights: Tensor) -> ov.Node:
        """Rounded as OpenVINO would, which keeps what it is given beside what it computes with: 40 MB less this way."""
        halves = self._constant(weights.to(torch.bfloat16).view(torch.uint16), ov.Type.bf16)
        widened = op.convert(halves, "f32")
        widened.get_rt_info()[_STAYS_HALVED] = ""
        return widened

    def _constant(self, tensor: Tensor, kind: ov.Type) -> ov.Node:
        values = self._disk.keep(tensor.detach().numpy())
        return op.constant(ov.Tensor(values, ov.Shape(values.shape), kind))
