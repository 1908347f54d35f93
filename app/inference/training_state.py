"""The checkpoint of a training run: weights, the best weights so far, the optimiser's memory, and how far it is."""

from __future__ import annotations

from pathlib import Path
from typing import Self

import msgspec
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

_PROGRESS_FILE = "progress.json"
_BEST_FILE = "best.safetensors"
_MOMENTS = ("exp_avg", "exp_avg_sq")


class Progress(msgspec.Struct, frozen=True):
    """``epoch``: whole epochs done. ``best_loss``: the smallest log loss on held-out recordings, after ``best_epoch``."""

    epoch: int
    best_epoch: int
    best_loss: float

    def after(self, loss: float) -> Self:
        epoch = self.epoch + 1
        if loss < self.best_loss:
            return type(self)(epoch, epoch, loss)
        return type(self)(epoch, self.best_epoch, self.best_loss)


class TrainingState:
    """Keeps a network's training in a folder. A file appears by a rename, the progress last: it names a whole checkpoint."""

    def __init__(self, folder: Path, network: nn.Module, *, learning_rate: float, weight_decay: float) -> None:
        self._folder = folder
        self._network = network
        self._parameters = dict(network.named_parameters())
        self.optimiser = torch.optim.AdamW(self._parameters.values(), lr=learning_rate, weight_decay=weight_decay)

    def restore(self) -> Progress | None:
        """Load the last whole checkpoint; None if there is none."""
        try:
            progress = msgspec.json.decode((self._folder / _PROGRESS_FILE).read_bytes(), type=Progress)
        except FileNotFoundError:
            return None
        saved = load_file(self._epoch_file(progress.epoch))
        self._load({name.removeprefix("now."): value for name, value in saved.items() if name.startswith("now.")})
        if progress.epoch:
            self._restore_moments(saved)
        return progress

    def _restore_moments(self, saved: dict[str, Tensor]) -> None:
        for name, parameter in self._parameters.items():
            self.optimiser.state[parameter] = {
                "step": saved["step"].clone(),
                **{moment: saved[f"{moment}.{name}"].to(parameter.device) for moment in _MOMENTS},
            }

    def save(self, progress: Progress, *, best: bool) -> None:
        now = {name: value.detach().cpu().contiguous() for name, value in self._network.state_dict().items()}
        if best:
            _replace(self._folder / _BEST_FILE, now)
        everything = {f"now.{name}": value for name, value in now.items()}
        for name, parameter in self._parameters.items():
            for key, value in self.optimiser.state.get(parameter, {}).items():
                everything["step" if key == "step" else f"{key}.{name}"] = value.detach().cpu().contiguous()
        _replace(self._epoch_file(progress.epoch), everything)
        draft = self._folder / f"{_PROGRESS_FILE}.unfinished"
        draft.write_bytes(msgspec.json.encode(progress))
        draft.replace(self._folder / _PROGRESS_FILE)
        self._epoch_file(progress.epoch - 1).unlink(missing_ok=True)

    def restore_best(self) -> None:
        self._load(load_file(self._folder / _BEST_FILE))

    def _load(self, saved: dict[str, Tensor]) -> None:
        """Into the tensors that are there: the optimiser holds on to them, and loading a dictionary would add counters."""
        for name, value in self._network.state_dict().items():
            value.copy_(saved[name])

    def _epoch_file(self, epoch: int) -> Path:
        return self._folder / f"epoch-{epoch}.safetensors"


def _replace(path: Path, tensors: dict[str, Tensor]) -> None:
    draft = path.with_suffix(".unfinished")
    save_file(tensors, draft)
    draft.replace(path)
