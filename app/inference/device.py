"""Where the network runs, and with which numbers."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from app.errors import DeviceMissing
from app.inference.choices import CPU_INFO, cpu


@dataclass(frozen=True, slots=True)
class Placement:
    device: torch.device
    dtype: torch.dtype

    def __str__(self) -> str:
        return f"{self.device} with {str(self.dtype).removeprefix('torch.')}"


def choose_placement(device: str = "auto", precision: str = "auto") -> Placement:
    """``device``: auto, cpu, cuda or cuda:N. ``precision``: auto, fp32, bf16 or int8.

    auto takes a GPU where there is one, and bfloat16 where the device computes with it: about three times as fast. So does
    int8, which is not a matter of torch (see ``openvino_trunk``).

    Raises:
        DeviceMissing: torch finds no such device.
    """
    place = _device(device)
    if precision in ("auto", "int8"):
        fast = torch.cuda.is_bf16_supported() if place.type == "cuda" else cpu_computes_bf16()
        precision = "bf16" if fast else "fp32"
    return Placement(place, torch.bfloat16 if precision == "bf16" else torch.float32)


def _device(wanted: str) -> torch.device:
    if wanted == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    place = torch.device(wanted)
    if place.type == "cuda" and (not torch.cuda.is_available() or (place.index or 0) >= torch.cuda.device_count()):
        raise DeviceMissing(device=wanted)
    return place


def limit_memory(device: torch.device, fraction: float) -> None:
    """Let this process take no more than that share of a GPU's memory; what goes beyond it fails as out of memory."""
    torch.cuda.set_per_process_memory_fraction(fraction, device)


def compute_with(threads: int) -> None:
    """Let torch use so many for what the calling thread computes from now on; other threads are not affected."""
    torch.set_num_threads(threads)


def cpu_computes_bf16(cpu_info: Path = CPU_INFO) -> bool:
    """Has the processor instructions for bfloat16? Without them it is emulated, slower than float32."""
    _, flags = cpu(cpu_info)
    return not flags.isdisjoint({"amx_bf16", "avx512_bf16", "bf16"})
