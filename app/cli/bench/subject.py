"""What all benches share: the model, the recordings, the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

from torch import Tensor

from app.inference.bundle import Bundle, load_weights
from app.inference.choices import Choice, Choices
from app.inference.cpu_network import CpuNetwork
from app.inference.openvino_trunk import TrunkPlan, default_threads
from app.inference.picture import FeatureExtractor
from app.inference.selfcheck import calibrate, check
from app.settings import Settings


@dataclass(frozen=True)
class Bench:
    """``precision``: what the network computes in, decided by the self-check where the settings say auto."""

    settings: Settings
    bundle: Bundle
    rounds: int
    files: int

    @property
    def clips_dir(self) -> Path:
        return self.settings.cache_dir / "bench"

    @cached_property
    def state(self) -> Mapping[str, Tensor]:
        return load_weights(self.bundle)

    @cached_property
    def choices(self) -> Choices:
        return Choices(self.settings.cache_dir, self.bundle.card.sha256, self.settings.threads or default_threads())

    @cached_property
    def plan(self) -> TrunkPlan:
        """What a worker with these settings would compute with."""
        wanted = self.settings.precision
        precision = self.choice.precision if wanted == "auto" else wanted
        return TrunkPlan(precision, self.peaks() if precision == "int8" else None, self.choices.threads)

    @cached_property
    def choice(self) -> Choice:
        """Kept from a worker's self-check, or found out now."""
        return self.choices.choice() or check(self.state, self.choices, FeatureExtractor())

    @property
    def has_reference(self) -> bool:
        """Are the packages of the extra ``bench`` there?"""
        return all(find_spec(package) is not None for package in ("librosa", "matplotlib"))

    def peaks(self) -> list[float]:
        if (peaks := self.choices.peaks()) is None:
            peaks = calibrate(self.state, FeatureExtractor(), threads=self.choices.threads)
            self.choices.keep_peaks(peaks)
        return peaks

    def network(self) -> CpuNetwork:
        return CpuNetwork(self.state, self.plan)
