"""The network on a GPU: bfloat16, channels last, captured once for each batch size, with two batches in flight.

While one batch computes, the next one's pictures are copied to the device from pinned memory. The same code runs on a
processor, without streams and graphs: that is how it is tested where there is no GPU.
"""

from __future__ import annotations

import queue
from collections.abc import Mapping
from contextlib import nullcontext
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from app.domain.genres import GENRES
from app.inference.contracts import PICTURE_SIDE
from app.inference.device import Placement
from app.inference.network import folded_trunk, network_with, scaled

BATCHES_IN_FLIGHT = 2
BATCH_WINDOWS = 64


class GpuNetwork:
    """Implements ``contracts.Network``. As many threads as there are BATCHES_IN_FLIGHT may call ``forward`` at once."""

    batch_windows = BATCH_WINDOWS
    batches_in_flight = BATCHES_IN_FLIGHT

    def __init__(self, state: Mapping[str, Tensor], placement: Placement) -> None:
        torch.backends.cudnn.benchmark = True
        network = network_with({name: tensor.float() for name, tensor in state.items()})
        whole = nn.Sequential(folded_trunk(network), nn.Flatten(), network.get_submodule("classifier"))
        whole = whole.to(placement.device, placement.dtype)
        # The type stubs of torch know `memory_format` only together with a tensor.
        self._network = whole.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._placement = placement
        self._lanes: queue.SimpleQueue[_Lane] = queue.SimpleQueue()
        for _ in range(BATCHES_IN_FLIGHT):
            self._lanes.put(_Lane(self._network, placement))

    @property
    def precision(self) -> str:
        return "bf16" if self._placement.dtype == torch.bfloat16 else "fp32"

    def forward(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures uint8 (batch, 224, 224, 3) to probabilities float32 (batch, 16)."""
        lane = self._lanes.get()
        try:
            parts = [
                lane.forward(pictures[start : start + BATCH_WINDOWS])
                for start in range(0, len(pictures), BATCH_WINDOWS)
            ]
        finally:
            self._lanes.put(lane)
        return np.concatenate(parts)

    def close(self) -> None:
        """Give the device's memory back."""
        for _ in range(BATCHES_IN_FLIGHT):
            self._lanes.get()
        if self._placement.device.type == "cuda":
            torch.cuda.empty_cache()


class _Lane:
    """One batch at a time: its stream, its memory on both sides, and its captured graphs."""

    def __init__(self, network: nn.Module, placement: Placement) -> None:
        self._network = network
        self._dtype = placement.dtype
        self._on_gpu = placement.device.type == "cuda"
        self._stream = torch.cuda.Stream(placement.device) if self._on_gpu else None  # type: ignore[no-untyped-call]
        picture = (PICTURE_SIDE, PICTURE_SIDE, 3)
        self._host_in = torch.zeros((BATCH_WINDOWS, *picture), dtype=torch.uint8, pin_memory=self._on_gpu)
        self._host_out = torch.zeros((BATCH_WINDOWS, len(GENRES)), pin_memory=self._on_gpu)
        self._device_in = torch.zeros((BATCH_WINDOWS, *picture), dtype=torch.uint8, device=placement.device)
        self._graphs: dict[int, tuple[torch.cuda.CUDAGraph, Tensor]] = {}

    def forward(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        size = len(pictures)
        self._host_in[:size].copy_(torch.from_numpy(np.require(pictures, requirements=["C", "W"])))
        with torch.inference_mode(), torch.cuda.stream(self._stream) if self._on_gpu else nullcontext():
            self._device_in[:size].copy_(self._host_in[:size], non_blocking=True)
            self._host_out[:size].copy_(self._probabilities(size), non_blocking=True)
        if self._stream is not None:
            self._stream.synchronize()
        return cast("NDArray[np.float32]", self._host_out[:size].numpy().copy())

    def _probabilities(self, size: int) -> Tensor:
        if not self._on_gpu:
            return self._compute(size)
        captured = 1 << (size - 1).bit_length()  # a graph for each power of two; what is too much is thrown away
        if captured not in self._graphs:
            self._graphs[captured] = self._capture(captured)
        graph, answer = self._graphs[captured]
        graph.replay()
        return answer[:size]

    def _capture(self, size: int) -> tuple[torch.cuda.CUDAGraph, Tensor]:
        for _ in range(2):  # lets cuDNN try its algorithms, which must not happen while capturing
            self._compute(size)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=self._stream, capture_error_mode="thread_local"):
            answer = self._compute(size)
        return graph, answer

    def _compute(self, size: int) -> Tensor:
        logits: Tensor = self._network(scaled(self._device_in[:size]).to(self._dtype))
        return logits.float().softmax(dim=1)
