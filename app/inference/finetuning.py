"""Fine-tuning a model on labelled pictures: its head, and on request the last block of its trunk.

What stays fixed is computed once, for all epochs. Every epoch ends with a checkpoint, from which the next run goes on as if
nothing had happened: chance is drawn anew from seed and epoch.
"""

from __future__ import annotations

import enum
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from app.domain.genres import GENRES
from app.inference.calibration import log_loss
from app.inference.device import Placement
from app.inference.fit import Examples, Report, batches, fit_linear_head, head_tensors
from app.inference.network import network_with, scaled
from app.inference.training_state import Progress, TrainingState

_LAST_BLOCK_AFTER_HALVINGS = 4
_HELD_OUT_SHARE = 0.15
_SEED = 16


class Layers(enum.StrEnum):
    """What is trained; everything before it stays as it is."""

    HEAD = "head"
    LAST_BLOCK = "last-block"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """``patience``: epochs without progress on held-out recordings after which training ends."""

    layers: Layers = Layers.HEAD
    epochs: int = 20
    patience: int = 4
    batch_windows: int = 32
    learning_rate: float = 1e-4
    weight_decay: float = 1e-2


@dataclass(frozen=True, slots=True)
class Split:
    """Windows of each part, as a mask (windows,). A recording is in one part only."""

    training: NDArray[np.bool_]
    checking: NDArray[np.bool_]
    testing: NDArray[np.bool_]


def split_by_recording(labels: NDArray[np.int64], clips: NDArray[np.int64]) -> Split:
    """Of every class 15 % of the recordings for checking and 15 % for testing, at least one each; the rest for training."""
    rng = np.random.default_rng(_SEED)
    part_of_clip = np.zeros(int(clips.max()) + 1, dtype=np.int64)
    for label in np.unique(labels):
        own = rng.permutation(np.unique(clips[labels == label]))
        held_out = max(1, round(_HELD_OUT_SHARE * len(own)))
        part_of_clip[own[:held_out]] = 1
        part_of_clip[own[held_out : 2 * held_out]] = 2
    parts = part_of_clip[clips]
    return Split(parts == 0, parts == 1, parts == 2)


class TrainableNetwork:
    """A network cut in two: ``fixed`` on the placement's terms, ``trained`` in float32."""

    def __init__(self, state: Mapping[str, Tensor], placement: Placement, layers: Layers) -> None:
        network = network_with({name: tensor.float().clone() for name, tensor in state.items()})
        trunk = network.get_submodule("features")
        self._placement = placement
        self._cut = _cut(trunk, layers)
        children = list(trunk.children())
        fixed = nn.Sequential(*children[: self._cut]).to(placement.device, placement.dtype)
        self._fixed = fixed.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # see network.py
        self.trunk = nn.Sequential(*children[self._cut :], nn.AdaptiveAvgPool2d((7, 7)), nn.Flatten()).to(
            placement.device
        )
        self.head = cast("nn.Sequential", network.get_submodule("classifier")).to(placement.device)
        self.trained = nn.Sequential(self.trunk, self.head).requires_grad_(requires_grad=True)

    def fixed_part(self, pictures: NDArray[np.uint8], report: Report) -> Tensor:
        """Pictures uint8 (windows, 224, 224, 3) to what the trained part sees, float16 (windows, channels, side, side)."""
        with torch.inference_mode():
            return torch.cat([self._fixed_of(batch) for batch in batches(pictures, report)])

    def _fixed_of(self, pictures: NDArray[np.uint8]) -> Tensor:
        values = scaled(torch.from_numpy(pictures).to(self._placement.device)).to(self._placement.dtype)
        return cast("Tensor", self._fixed(values).half().cpu())

    def logits(self, fixed: Tensor, batch_windows: int) -> NDArray[np.float32]:
        """(windows, 16), in evaluation mode."""
        self.trained.eval()
        with torch.inference_mode():
            parts = [self.trained(self._placed(part)).float().cpu() for part in torch.split(fixed, batch_windows)]
        return cast("NDArray[np.float32]", torch.cat(parts).numpy())

    def features(self, fixed: Tensor, batch_windows: int) -> NDArray[np.float32]:
        """What the head sees, (windows, 25088)."""
        self.trained.eval()
        with torch.inference_mode():
            parts = [self.trunk(self._placed(part)).float().cpu() for part in torch.split(fixed, batch_windows)]
        return cast("NDArray[np.float32]", torch.cat(parts).numpy())

    def loss(self, fixed: Tensor, labels: Tensor, class_weights: Tensor) -> Tensor:
        """For training: dropout on; batch normalisation keeps the statistics that it has."""
        self.trained.eval()
        self.head.train()
        device = self._placement.device
        logits = self.trained(self._placed(fixed))
        return functional.cross_entropy(logits, labels.to(device), weight=class_weights.to(device))

    def _placed(self, fixed: Tensor) -> Tensor:
        return fixed.to(self._placement.device).float()

    def trained_tensors(self) -> dict[str, Tensor]:
        """The trained part's tensors under their names in a bundle."""
        trunk = {f"features.{self._renumbered(name)}": value for name, value in self.trunk.state_dict().items()}
        head = {f"classifier.{name}": value for name, value in self.head.state_dict().items()}
        return {name: value.detach().cpu() for name, value in {**trunk, **head}.items() if "num_batches" not in name}

    def _renumbered(self, name: str) -> str:
        number, _, rest = name.partition(".")
        return f"{int(number) + self._cut}.{rest}"


def _cut(trunk: nn.Module, layers: Layers) -> int:
    """How many layers of the trunk stay fixed."""
    children = list(trunk.children())
    if layers is Layers.HEAD:
        return len(children)
    halvings = [position for position, layer in enumerate(children) if isinstance(layer, nn.MaxPool2d)]
    return halvings[_LAST_BLOCK_AFTER_HALVINGS - 1] + 1


def class_weights(labels: NDArray[np.int64], classes: int) -> Tensor:
    """(classes,): a rare genre's windows weigh more, so that all genres heard weigh the same; 0 for those not heard."""
    counts = np.bincount(labels, minlength=classes)
    heard = counts > 0
    weights = np.zeros(classes, dtype=np.float32)
    weights[heard] = counts.sum() / (heard.sum() * counts[heard])
    return torch.from_numpy(weights)


class Training:
    """A network in training. ``fixed``: what the trained part sees of each window of ``examples``."""

    def __init__(self, network: TrainableNetwork, fixed: Tensor, examples: Examples, plan: Plan) -> None:
        self.network = network
        self.examples = examples
        self.split = split_by_recording(examples.labels, examples.clips)
        self._fixed = fixed
        self._plan = plan
        self._labels = torch.from_numpy(examples.labels)
        self._class_weights = class_weights(examples.labels[self.split.training], classes=len(GENRES))

    def logits(self, chosen: NDArray[np.bool_]) -> NDArray[np.float32]:
        """Of the chosen windows, (windows, 16)."""
        return self.network.logits(self._fixed[torch.from_numpy(chosen)], self._plan.batch_windows)

    def start_from_regression(self) -> None:
        """For a trunk that was never trained: the head that is exactly the best linear one. Gradients would take ages."""
        own = self.split.training
        features = self.network.features(self._fixed[torch.from_numpy(own)], self._plan.batch_windows)
        head = fit_linear_head(features, self.examples.labels[own], self.examples.clips[own])
        tensors = {name.removeprefix("classifier."): value.float() for name, value in head_tensors(head).items()}
        self.network.head.load_state_dict(tensors)

    def run(self, folder: Path, report: Report) -> None:
        """Train until the held-out recordings gain nothing more; the network is left as it was at its best.

        ``folder`` holds the checkpoint: training that was cut off there goes on after its last whole epoch.
        """
        plan = self._plan
        trained = self.network.trained
        state = TrainingState(folder, trained, learning_rate=plan.learning_rate, weight_decay=plan.weight_decay)
        progress = state.restore()
        if progress is None:
            progress = Progress(epoch=0, best_epoch=0, best_loss=self._loss_on_held_out())
            state.save(progress, best=True)
        while progress.epoch < plan.epochs and progress.epoch - progress.best_epoch < plan.patience:
            self._epoch(state.optimiser, progress.epoch)
            progress = progress.after(self._loss_on_held_out())
            state.save(progress, best=progress.best_epoch == progress.epoch)
            report("epochs", progress.epoch, plan.epochs)
        state.restore_best()
        report("epochs", plan.epochs, plan.epochs)

    def _loss_on_held_out(self) -> float:
        own = self.split.checking
        return log_loss(self.logits(own), self.examples.labels[own], self.examples.clips[own], 1.0)

    def _epoch(self, optimiser: torch.optim.Optimizer, epoch: int) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(_SEED + epoch)
            for chosen in self._batches():
                optimiser.zero_grad()
                loss = self.network.loss(self._fixed[chosen], self._labels[chosen], self._class_weights)
                loss.backward()  # type: ignore[no-untyped-call]
                optimiser.step()

    def _batches(self) -> Iterator[Tensor]:
        numbers = torch.from_numpy(np.flatnonzero(self.split.training))
        yield from torch.split(numbers[torch.randperm(len(numbers))], self._plan.batch_windows)
