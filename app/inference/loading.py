"""From a verified bundle to a network at work on the wanted device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from app.inference.adaptive import AdaptiveNetwork
from app.inference.bundle import Bundle, load_weights
from app.inference.choices import Choices, WantedPrecision
from app.inference.device import choose_placement, limit_memory
from app.inference.gpu_network import GpuNetwork
from app.inference.openvino_trunk import default_threads

if TYPE_CHECKING:
    from app.inference.device_picture import DeviceFeatureExtractor
    from app.inference.picture import FeatureExtractor


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the settings say. ``threads``: of the forward pass; None for one on each core that this process may use.

    ``memory_fraction``: of a GPU's memory, what this process may take.
    """

    device: str
    precision: WantedPrecision
    threads: int | None = None
    memory_fraction: float = 1.0


def load_network(bundle: Bundle, wishes: Wishes, cache_dir: Path) -> AdaptiveNetwork | GpuNetwork:
    """The bundle's network at work; verify the bundle first, and ``close`` the network in the end.

    ``cache_dir`` is where the self-check keeps what it finds out.

    Raises:
        DeviceMissing: torch finds no such device.
    """
    placement = choose_placement(wishes.device, wishes.precision)
    threads = wishes.threads or default_threads()
    if placement.device.type == "cpu":
        return AdaptiveNetwork(bundle, wishes.precision, Choices(cache_dir, bundle.card.sha256, threads))
    limit_memory(placement.device, wishes.memory_fraction)
    return GpuNetwork(load_weights(bundle), placement)


def load_featurizer(wishes: Wishes) -> FeatureExtractor | DeviceFeatureExtractor:
    """What turns clips into pictures, on the device that the network runs on.

    Raises:
        DeviceMissing: torch finds no such device.
    """
    # nnAudio brings SciPy: a second of imports, for which no network has to wait.
    from app.inference.device_picture import DeviceFeatureExtractor  # noqa: PLC0415
    from app.inference.picture import FeatureExtractor  # noqa: PLC0415

    device = choose_placement(wishes.device, wishes.precision).device
    return FeatureExtractor() if device.type == "cpu" else DeviceFeatureExtractor(device)
