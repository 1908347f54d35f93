"""Fitting the head of the network on labelled pictures: fast, and the same every time.

The trunk is not trained. A linear classifier on its features is found (multinomial logistic regression with a ridge, whose
strength is chosen by cross-validation), then written into the four linear layers of the head, so that the result is an
ordinary checkpoint.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from app.domain.genres import GENRES
from app.inference.device import Placement
from app.inference.network import TorchNetwork, scaled, tensor_shapes, vgg19_bn

RIDGES = (1e-9, 1e-8, 1e-7, 1e-6, 1e-4)
FOLDS = 4
_CLASSES = len(GENRES)
_ITERATIONS = 200
_BATCH_WINDOWS = 16
_TRUNK_SEED = 16
_SMALLEST_EIGENVALUE = 1e-9  # relative to the largest; below lies rounding

# Says how far a long task is: name of its stage, steps done, steps in all.
Report = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Examples:
    """``pictures``: uint8 (windows, 224, 224, 3). ``labels``: class of each window. ``clips``: number of its clip.

    Windows of one clip are never split between fitting and checking.
    """

    pictures: NDArray[np.uint8]
    labels: NDArray[np.int64]
    clips: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class LinearHead:
    """logits = features @ weight.T + bias. ``accuracy``: share of windows of held-out clips told right, in [0, 1]."""

    weight: Tensor
    bias: Tensor
    ridge: float
    accuracy: float


def fit_network(examples: Examples, placement: Placement, report: Report) -> tuple[dict[str, Tensor], LinearHead]:
    """All tensors of a network with a random trunk and a head fitted on the examples, bfloat16, and what is known of it."""
    _, one_of_each = np.unique(examples.labels, return_index=True)
    trunk = random_trunk(_TRUNK_SEED, examples.pictures[one_of_each], report)
    headless = {name: torch.zeros(shape) for name, shape in tensor_shapes().items() if name.startswith("classifier.")}
    network = TorchNetwork({**trunk, **headless}, placement)
    features = np.concatenate([network.features(batch) for batch in batches(examples.pictures, report)])
    head = fit_linear_head(features, examples.labels, examples.clips)
    tensors = {**trunk, **head_tensors(head)}
    return {name: tensors[name].bfloat16() for name in tensor_shapes()}, head


def batches(pictures: NDArray[np.uint8], report: Report) -> Iterator[NDArray[np.uint8]]:
    """Pictures uint8 (windows, 224, 224, 3), a few windows at a time; says after each how far it is."""
    parts = np.array_split(pictures, -(-len(pictures) // _BATCH_WINDOWS))
    for done, part in enumerate(parts, start=1):
        yield part
        report("features", done, len(parts))


def random_trunk(seed: int, pictures: NDArray[np.uint8], report: Report) -> dict[str, Tensor]:
    """The trunk's tensors: He's random weights, and batch normalisation that fits ``pictures`` uint8 (n, 224, 224, 3).

    He et al., "Delving deep into rectifiers" (2015). All are rounded to what bfloat16 can hold: a bundle stores them so.
    """
    generator = torch.Generator().manual_seed(seed)
    network = vgg19_bn().requires_grad_(requires_grad=False).eval()
    layers = list(network.get_submodule("features").children())
    with torch.no_grad():
        values = scaled(torch.from_numpy(pictures))
        for done, layer in enumerate(layers, start=1):
            if isinstance(layer, nn.Conv2d):
                _start_randomly(layer, generator)
            elif isinstance(layer, nn.BatchNorm2d):
                _calibrate(layer, values)
            values = layer(values)
            report("trunk", done, len(layers))
        return {name: value.clone() for name, value in network.state_dict().items() if name.startswith("features.")}


def _start_randomly(layer: nn.Conv2d, generator: torch.Generator) -> None:
    nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
    layer.weight.copy_(layer.weight.bfloat16())
    layer.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # the stubs know it only beside a tensor
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)


def _calibrate(layer: nn.BatchNorm2d, values: Tensor) -> None:
    variance, mean = torch.var_mean(values, dim=(0, 2, 3), correction=0)
    layer.running_mean, layer.running_var = mean.bfloat16().float(), variance.bfloat16().float()


def fit_linear_head(features: NDArray[np.float32], labels: NDArray[np.int64], clips: NDArray[np.int64]) -> LinearHead:
    """The regression with the ridge that does best on held-out clips. ``features``: (windows, 25088)."""
    folds = _folds(labels, clips)
    checks = {ridge: _held_out(features, labels, folds, ridge) for ridge in RIDGES}
    ridge = min(RIDGES, key=lambda value: checks[value][0])
    weight, bias = _regression(features, labels, ridge)
    return LinearHead(weight, bias, ridge, checks[ridge][1])


def _folds(labels: NDArray[np.int64], clips: NDArray[np.int64]) -> NDArray[np.int64]:
    """The fold of each window: the clips of every class are dealt out in turn."""
    folds = np.zeros_like(clips)
    for label in np.unique(labels):
        _, ranks = np.unique(clips[labels == label], return_inverse=True)
        folds[labels == label] = ranks % FOLDS
    return folds


def _held_out(
    features: NDArray[np.float32], labels: NDArray[np.int64], folds: NDArray[np.int64], ridge: float
) -> tuple[float, float]:
    """Mean log loss and accuracy over the windows, each judged by a regression that did not see its clip."""
    targets = torch.from_numpy(labels)
    logits = torch.empty(len(labels), _CLASSES)
    for fold in np.unique(folds):
        checked = folds == fold
        weight, bias = _regression(features[~checked], labels[~checked], ridge)
        logits[torch.from_numpy(checked)] = torch.from_numpy(features[checked]) @ weight.T + bias
    accuracy = (logits.argmax(dim=1) == targets).float().mean()
    return float(functional.cross_entropy(logits, targets)), float(accuracy)


def _regression(features: NDArray[np.float32], labels: NDArray[np.int64], ridge: float) -> tuple[Tensor, Tensor]:
    """Weight (16, 25088) and bias (16,). There are far fewer windows than features, so it is solved among the windows."""
    values, targets = torch.from_numpy(features), torch.from_numpy(labels)
    centre = values.mean(dim=0)
    centred = values - centre
    coordinates, back = _principal_coordinates(centred)
    coefficients, bias = _minimise(coordinates, targets, ridge)
    weight = (centred.T @ (back @ coefficients).float()).T
    return weight, bias.float() - weight @ centre


def _principal_coordinates(centred: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates (windows, r) of mean square length 1, and the (windows, r) that lead from them back to the windows."""
    products = (centred @ centred.T).double()
    mean_square_length = products.diagonal().mean()
    eigenvalues, vectors = torch.linalg.eigh(products / mean_square_length)
    kept = eigenvalues > _SMALLEST_EIGENVALUE * eigenvalues[-1]
    roots = eigenvalues[kept].sqrt()
    return vectors[:, kept] * roots, vectors[:, kept] / roots / mean_square_length


def _minimise(coordinates: Tensor, targets: Tensor, ridge: float) -> tuple[Tensor, Tensor]:
    coefficients = torch.zeros(coordinates.shape[1], _CLASSES, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(_CLASSES, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS([coefficients, bias], max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def loss() -> Tensor:
        optimiser.zero_grad()
        value = functional.cross_entropy(coordinates @ coefficients + bias, targets)
        value = value + ridge / 2 * coefficients.square().sum()
        value.backward()  # type: ignore[no-untyped-call]
        return value

    optimiser.step(loss)  # type: ignore[no-untyped-call]
    return coefficients.detach(), bias.detach()


def head_tensors(head: LinearHead) -> dict[str, Tensor]:
    """The classifier's tensors, bfloat16, that compute ``head``.

    z = relu(z) - relu(-z): the first layer computes every logit and its negative, the middle ones hand the 32 numbers on, the
    last subtracts. What the first layer's bias loses by rounding, the last adds.
    """
    shapes = tensor_shapes()
    tensors = {name: torch.zeros(shape) for name, shape in shapes.items() if name.startswith("classifier.")}
    both = torch.eye(2 * _CLASSES)
    rounded_bias = head.bias.bfloat16().float()
    tensors["classifier.1.weight"][: 2 * _CLASSES] = torch.cat([head.weight, -head.weight])
    tensors["classifier.1.bias"][: 2 * _CLASSES] = torch.cat([rounded_bias, -rounded_bias])
    for layer in ("classifier.4", "classifier.7"):
        tensors[f"{layer}.weight"][: 2 * _CLASSES, : 2 * _CLASSES] = both
    tensors["classifier.9.weight"][:, : 2 * _CLASSES] = both[:_CLASSES] - both[_CLASSES:]
    tensors["classifier.9.bias"][:] = head.bias - rounded_bias
    return {name: tensor.bfloat16() for name, tensor in tensors.items()}
