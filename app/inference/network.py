"""VGG19 with batch normalisation and the head of the public ccmusic ``music_genre`` checkpoint.

Simonyan and Zisserman, "Very deep convolutional networks for large-scale image recognition" (2015), configuration E. Parameters
are named and ordered as in torchvision's ``vgg19_bn``, so that checkpoints fit.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from app.domain.genres import GENRES
from app.inference.contracts import PICTURE_SIDE
from app.inference.device import Placement

# Channels of the convolutions, with 0 for a halving of the picture.
_CONFIGURATION_E = (64, 64, 0, 128, 128, 0, 256, 256, 256, 256, 0, 512, 512, 512, 512, 0, 512, 512, 512, 512, 0)
FEATURES = 512 * 7 * 7
# Between the 25,088 features and the 16 classes the widths fall by the same factor, (25088 / 16) ** (1/4), rounded down.
HEAD_WIDTHS = (3958, 629, 100)
DROPOUT = 0.5


def _trunk_layers() -> Iterator[nn.Module]:
    channels = 3
    for width in _CONFIGURATION_E:
        if width == 0:
            yield nn.MaxPool2d(kernel_size=2, stride=2)
        else:
            yield nn.Conv2d(channels, width, kernel_size=3, padding=1)
            yield nn.BatchNorm2d(width)
            yield nn.ReLU(inplace=True)
            channels = width


def vgg19_bn() -> nn.Sequential:
    """The network for pictures (batch, 3, 224, 224) scaled to [-1, 1]; answers logits (batch, 16)."""
    widest, middle, narrowest = HEAD_WIDTHS
    classifier = nn.Sequential(
        nn.Dropout(DROPOUT),
        nn.Linear(FEATURES, widest),
        nn.ReLU(inplace=True),
        nn.Dropout(DROPOUT),
        nn.Linear(widest, middle),
        nn.ReLU(inplace=True),
        nn.Dropout(DROPOUT),
        nn.Linear(middle, narrowest),
        nn.ReLU(inplace=True),
        nn.Linear(narrowest, len(GENRES)),
    )
    return nn.Sequential(
        OrderedDict(
            features=nn.Sequential(*_trunk_layers()),
            avgpool=nn.AdaptiveAvgPool2d((7, 7)),
            flatten=nn.Flatten(),
            classifier=classifier,
        )
    )


def tensor_shapes() -> dict[str, tuple[int, ...]]:
    """Name and shape of every tensor that a checkpoint must hold (``num_batches_tracked`` plays no part in inference)."""
    with torch.device("meta"):
        state = vgg19_bn().state_dict()
    return {name: tuple(tensor.shape) for name, tensor in state.items() if not name.endswith("num_batches_tracked")}


def network_with(state: Mapping[str, Tensor]) -> nn.Sequential:
    """The network in evaluation mode around the given tensors, which are not copied."""
    with torch.device("meta"):
        network = vgg19_bn()
    network.load_state_dict(state, strict=False, assign=True)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.num_batches_tracked = None  # only training counts, and it would stay without storage
    return network.requires_grad_(requires_grad=False).eval()


def folded_trunk(network: nn.Sequential) -> nn.Sequential:
    """The network's convolutions, with each batch normalisation folded into the convolution before it."""
    layers = list(network.get_submodule("features").children())
    folded: list[nn.Module] = []
    for layer, following in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Conv2d) and isinstance(following, nn.BatchNorm2d):
            folded.append(fuse_conv_bn_eval(layer, following))
        elif not isinstance(layer, nn.BatchNorm2d):
            folded.append(layer)
    return nn.Sequential(*folded)


class TorchNetwork:
    """The network on its device. Its methods block; one thread at a time may call them."""

    def __init__(self, state: Mapping[str, Tensor], placement: Placement) -> None:
        self._placement = placement
        network = network_with({name: tensor.float() for name, tensor in state.items()})
        trunk = nn.Sequential(
            folded_trunk(network),
            network.get_submodule("avgpool"),
            network.get_submodule("flatten"),
        )
        # The type stubs of torch know `memory_format` only together with a tensor.
        self._trunk = trunk.to(placement.device, placement.dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._head = network.get_submodule("classifier").to(placement.device, placement.dtype)

    def forward(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures uint8 (batch, 224, 224, 3) to probabilities float32 (batch, 16)."""
        with torch.inference_mode():
            logits = self._head(self._trunk(self._scaled(pictures)))
            return cast("NDArray[np.float32]", logits.float().softmax(dim=1).cpu().numpy())

    def features(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pictures uint8 (batch, 224, 224, 3) to what the head sees of them, float32 (batch, 25088)."""
        with torch.inference_mode():
            return cast("NDArray[np.float32]", self._trunk(self._scaled(pictures)).float().cpu().numpy())

    def _scaled(self, pictures: NDArray[np.uint8]) -> Tensor:
        return scaled(torch.from_numpy(pictures).to(self._placement.device)).to(self._placement.dtype)


def scaled(pictures: Tensor) -> Tensor:
    """uint8 (batch, side, side, 3) to float32 (batch, 3, side, side) in [-1, 1]: mean 0.5, standard deviation 0.5."""
    if pictures.shape[1:] != (PICTURE_SIDE, PICTURE_SIDE, 3):
        raise ValueError(f"pictures must be (batch, {PICTURE_SIDE}, {PICTURE_SIDE}, 3), not {tuple(pictures.shape)}")
    # Seen this way, the picture's own order of bytes is channels-last already.
    return pictures.permute(0, 3, 1, 2).float().div(127.5).sub(1)
