"""Networks, checkpoints and bundles of the exact layout, as small as they can be made."""

from __future__ import annotations

from pathlib import Path

import msgspec
import torch
from safetensors.torch import save_file
from torch import Tensor

from app.inference.bundle import CARD_FILE, WEIGHTS_FILE, Description, ModelCard, bundle_path, read_card, sha256_of
from app.inference.network import tensor_shapes

# The head of the public checkpoint, written down apart from the code that builds it.
PUBLIC_HEAD = {
    "classifier.1.weight": (3958, 25088),
    "classifier.1.bias": (3958,),
    "classifier.4.weight": (629, 3958),
    "classifier.4.bias": (629,),
    "classifier.7.weight": (100, 629),
    "classifier.7.bias": (100,),
    "classifier.9.weight": (16, 100),
    "classifier.9.bias": (16,),
}


def random_state(seed: int = 0) -> dict[str, Tensor]:
    """A network with opinions: float32 tensors of the public layout, scaled so that signals neither die nor explode."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, shape in tensor_shapes().items():
        values = torch.randn(shape, generator=generator)
        if name.endswith("running_var"):
            state[name] = values.abs() + 0.5
        elif len(shape) == 1:
            state[name] = 0.1 * values + (1.0 if name.startswith("features.") and name.endswith("weight") else 0.0)
        else:
            state[name] = values * (2 / values[0].numel()) ** 0.5
    return state


def hollow_state() -> dict[str, Tensor]:
    """Every tensor has its right shape, but holds one number only: a checkpoint of it takes kilobytes."""
    return {name: torch.tensor(0.5).bfloat16().expand(shape) for name, shape in tensor_shapes().items()}


def a_description(name: str = "test", version: str = "1") -> Description:
    return Description(name=name, version=version, source="a test", limits="none", metrics={})


def forged_bundle(models_dir: Path, tensors: dict[str, Tensor], template: ModelCard) -> Path:
    """A bundle whose card and checksum are right, whatever its tensors are."""
    path = bundle_path(models_dir, template.name, template.version)
    path.mkdir(parents=True)
    save_file(tensors, path / WEIGHTS_FILE)
    card = msgspec.structs.replace(template, sha256=sha256_of(path / WEIGHTS_FILE))
    (path / CARD_FILE).write_bytes(msgspec.json.encode(card))
    return path


def change_card(path: Path, **changes: object) -> None:
    card = msgspec.structs.replace(read_card(path), **changes)
    (path / CARD_FILE).unlink()  # it may be a link to another bundle's
    (path / CARD_FILE).write_bytes(msgspec.json.encode(card))
