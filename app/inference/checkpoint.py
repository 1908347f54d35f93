"""Import of PyTorch checkpoints, above all of the public ccmusic ``save.pt``. The only place that reads them.

A checkpoint is a pickle, and a pickle can run code. ``weights_only=True`` reads tensors and plain containers and refuses
everything else.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError  # noqa: TID251  only the name of the refusal; nothing is unpickled here

import torch
from torch import Tensor

from app.errors import CheckpointRefused
from app.inference.bundle import Bundle, Description, bundle_path, tensor_problems, write_bundle
from app.inference.network import tensor_shapes

_WRAPPERS = ("state_dict", "model_state_dict", "model")
_DATA_PARALLEL = "module."
_LIMITS = "As good as the checkpoint that it was imported from; Earmark has not measured it."


def import_checkpoint(path: Path, models_dir: Path, name: str, version: str) -> Bundle:
    """Turn a checkpoint into a bundle of float32 weights, or of bfloat16 where the checkpoint has them so.

    Raises:
        CheckpointRefused: it can't be read safely, or a tensor is missing, unknown, of a wrong shape or not finite.
        ModelBroken: name or version can't be used as a folder's name.
    """
    bundle_path(models_dir, name, version)
    state = _wanted_tensors(path, _read(path))
    description = Description(
        name=name, version=version, source=f"imported from {path.name}", limits=_LIMITS, metrics={}
    )
    return write_bundle(models_dir, description, state)


def _read(path: Path) -> Mapping[object, object]:
    try:
        # Only the newer, zipped kind of checkpoint can be mapped instead of being read at once.
        content = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))  # noqa: TID251
    except OSError as error:
        raise CheckpointRefused(path=str(path), problem=f"it can't be read ({error.strerror})") from error
    except UnpicklingError as error:
        problem = "it is damaged, or holds more than tensors, so that loading it could run foreign code"
        raise CheckpointRefused(path=str(path), problem=problem) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        raise CheckpointRefused(path=str(path), problem="it is no PyTorch checkpoint, or it is damaged") from error
    for wrapper in _WRAPPERS:
        if isinstance(content, Mapping) and isinstance(content.get(wrapper), Mapping):
            content = content[wrapper]
    if not isinstance(content, Mapping):
        raise CheckpointRefused(path=str(path), problem="it holds no state_dict")
    return content


def _wanted_tensors(path: Path, content: Mapping[object, object]) -> dict[str, Tensor]:
    state: dict[str, Tensor] = {}
    for key, value in content.items():
        name = str(key).removeprefix(_DATA_PARALLEL)
        if name.endswith(".num_batches_tracked"):
            continue
        if not isinstance(value, Tensor) or not value.is_floating_point():
            raise CheckpointRefused(path=str(path), problem=f"{name} is no tensor of floating-point numbers")
        state[name] = value if value.dtype == torch.bfloat16 else value.float()
    # Types are no problem any more, so that one stands for both.
    problem = next(tensor_problems({name: (tuple(tensor.shape), "F32") for name, tensor in state.items()}), None)
    problem = problem or next(
        (_not_finite(name) for name, tensor in state.items() if not tensor.isfinite().all()), None
    )
    if problem:
        raise CheckpointRefused(path=str(path), problem=problem)
    return {name: state[name] for name in tensor_shapes()}


def _not_finite(name: str) -> str:
    return f"the tensor {name} holds values that are not finite"
