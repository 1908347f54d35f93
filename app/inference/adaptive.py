"""The network of a worker on a processor: works at once, and goes over to the best precision when that is known."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import structlog
from numpy.typing import NDArray
from torch import Tensor

import app
from app.errors import ModelBroken
from app.inference import memory
from app.inference.bundle import Bundle, mapped_weights, verify
from app.inference.choices import Choice, Choices, Precision, WantedPrecision
from app.inference.cpu_network import CpuNetwork, head_dtype
from app.inference.openvino_trunk import TrunkPlan

_log = structlog.get_logger(__name__)

# The worker shall be ready first.
_PATIENCE_S = 5.0
_BATCH_WINDOWS = 8  # until the check has found a better number
_CHECK_MODULE = "app.inference.selfcheck"
_SOURCE_ROOT = Path(app.__file__).parent.parent


@dataclass(frozen=True, slots=True)
class _Setting:
    precision: Precision
    batch_windows: int


def _own(state: Mapping[str, Tensor], plan: TrunkPlan) -> dict[str, Tensor]:
    """What is a part of a file copied, but for the convolutions' tensors, of which folding makes new ones."""
    dtype = head_dtype(plan)
    return {
        name: tensor if name.startswith("features.") else tensor.to(dtype, copy=True) for name, tensor in state.items()
    }


def check_command(bundle_path: Path, choices: Choices) -> list[str]:
    """The command line that checks the model in ``bundle_path`` on behalf of this process."""
    numbers = [str(choices.threads), str(os.getpid())]
    return [sys.executable, "-P", "-m", _CHECK_MODULE, str(bundle_path), str(choices.folder), *numbers]


class AdaptiveNetwork:
    """Implements ``contracts.Network``.

    What the self-check has once found is used from the start. Without it the network begins in float32, has the check run
    in a process of its own, and then goes over between two batches; a result says nothing of the change, because only a
    precision that keeps the answers is gone over to. ``int8``, asked for by name, needs the check's calibration.
    """

    batches_in_flight = 1

    def __init__(self, bundle: Bundle, wanted: WantedPrecision, choices: Choices) -> None:
        self._bundle = bundle
        self._wanted = wanted
        self._choices = choices
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        known = self._known_setting()
        self._setting = known or _Setting("fp32", _BATCH_WINDOWS)
        self._network = self._load(self._setting)
        if known is None:
            threading.Thread(target=self._find_out, name="self-check", daemon=True).start()

    @property
    def precision(self) -> Precision:
        return self._setting.precision

    @property
    def batch_windows(self) -> int:
        """The best number of windows in one batch, as far as is known."""
        return self._setting.batch_windows

    def forward(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures uint8 (batch, 224, 224, 3) to probabilities float32 (batch, 16)."""
        return self._network.forward(pictures)

    def close(self) -> None:
        """End the check, if it still runs."""
        self._closing.set()
        if self._process is not None:
            self._process.kill()

    def _known_setting(self) -> _Setting | None:
        """What to compute with, or None if that has to be found out first."""
        choice: Choice | None = self._choices.choice()
        batch_windows = choice.batch_windows if choice else _BATCH_WINDOWS
        if self._wanted == "auto":
            return _Setting(choice.precision, batch_windows) if choice and self._can(choice.precision) else None
        return _Setting(self._wanted, batch_windows) if self._can(self._wanted) else None

    def _can(self, precision: Precision) -> bool:
        return precision != "int8" or self._choices.peaks() is not None

    def _load(self, setting: _Setting) -> CpuNetwork:
        peaks = self._choices.peaks() if setting.precision == "int8" else None
        plan = TrunkPlan(setting.precision, peaks, self._choices.threads)
        network = CpuNetwork(_own(mapped_weights(self._bundle), plan), plan)
        memory.give_back()
        return network

    def _find_out(self) -> None:
        """In a thread of its own: run the check, then go over to what it chose."""
        if self._closing.wait(_PATIENCE_S):
            return
        environment = {name: value for name, value in os.environ.items() if not name.startswith("EARMARK_")}
        self._process = subprocess.Popen(
            check_command(self._bundle.path, self._choices),
            env={**environment, "PYTHONPATH": str(_SOURCE_ROOT)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is the worker's to handle
        )
        code = self._process.wait()
        if self._closing.is_set():
            return
        setting = self._known_setting()
        if setting is None:
            _log.warning("the self-check failed, so the network stays with fp32", code=code)
            return
        try:
            verify(self._bundle.path)
        except ModelBroken as error:
            _log.warning("the model's file is not what it was, so the network stays as it is", reason=str(error))
            return
        self._network, self._setting = self._load(setting), setting
        memory.give_back()
        _log.info("the self-check has chosen", precision=setting.precision, batch_windows=setting.batch_windows)
