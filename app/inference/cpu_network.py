"""The network on a processor: convolutions in OpenVINO, the head's four matrices in torch.

The head holds five sixths of the weights and little of the arithmetic. torch multiplies by them as they were loaded
(float32) or in one rounded copy (bfloat16), while OpenVINO would keep each twice.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.inference.device import compute_with, cpu_computes_bf16
from app.inference.network import folded_trunk, network_with
from app.inference.openvino_trunk import OpenVinoTrunk, TrunkPlan

# Convolutions gain next to nothing from more windows at once, and each needs 25 to 50 MB. The head, which reads all its
# weights for every batch, takes the whole batch at once.
WINDOWS_AT_ONCE = 2


class CpuNetwork:
    """Implements ``contracts.Network``. One thread at a time may call it."""

    def __init__(self, state: Mapping[str, Tensor], plan: TrunkPlan) -> None:
        network = network_with(with_float_features(state))
        self._trunk = OpenVinoTrunk(folded_trunk(network), plan)
        self._threads = plan.thread_count
        self._head_dtype = head_dtype(plan)
        self._head = cast("nn.Sequential", network.get_submodule("classifier")).to(self._head_dtype)

    def forward(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures uint8 (batch, 224, 224, 3) to probabilities float32 (batch, 16)."""
        starts = range(0, len(pictures), WINDOWS_AT_ONCE)
        parts = [self._trunk(pictures[start : start + WINDOWS_AT_ONCE]) for start in starts]
        compute_with(self._threads)  # OpenVINO's are at rest now
        with torch.inference_mode():
            logits = self._head(torch.from_numpy(np.concatenate(parts)).to(self._head_dtype))
            return cast("NDArray[np.float32]", logits.float().softmax(dim=1).numpy())


def with_float_features(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The convolutions' tensors as float32, to be folded; the head's as they are."""
    return {name: tensor.float() if name.startswith("features.") else tensor for name, tensor in state.items()}


def head_dtype(plan: TrunkPlan) -> torch.dtype:
    return torch.float32 if plan.precision == "fp32" or not cpu_computes_bf16() else torch.bfloat16
