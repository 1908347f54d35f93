"""Model bundles: a folder ``<models>/<name>/<version>/`` with the weights and a card that says what they are.

A bundle is written once and never changed: it appears complete, by a rename, and its card holds the weights' checksum.
"""

from __future__ import annotations

import hashlib
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated

import msgspec
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from app.domain.evaluation import Evaluation
from app.domain.genres import GENRE_IDS
from app.domain.ids import utc_now
from app.domain.jobs import JobKind
from app.errors import ModelBroken
from app.inference.diagrams import write_diagrams
from app.inference.network import tensor_shapes

WEIGHTS_FILE = "model.safetensors"
CARD_FILE = "card.json"
# Hashed at once. Python waits for its turn after each piece, for 5 ms if another thread is busy, as at the start of a worker.
_PIECE_BYTES = 16_000_000
_DTYPES = ("F32", "BF16")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_REIMPORT = "Import the model again (earmark model import), or activate another one (earmark model activate)"
_UNTOUCHED = "A bundle must not be edited. " + _REIMPORT


class Preprocessing(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the weights expect to be done to a recording. The code does exactly this; a card that differs is refused."""

    sample_rate_hz: int = 22_050
    analysed_seconds: float = 30.0
    transform: str = "cqt"
    hop_samples: int = 512
    bins: int = 84
    bins_per_octave: int = 12
    lowest_hz: float = 32.70319566
    window_s: float = 11.4
    picture: str = "magma 496x369, JPEG 75, 224x224"
    mean: float = 0.5
    standard_deviation: float = 0.5


class ModelCard(msgspec.Struct, frozen=True, kw_only=True):
    """What a model says of itself. ``metrics`` are shares in [0, 1]; ``limits`` is a sentence for people.

    ``evaluation`` was measured on recordings that were kept from its training; ``temperature`` is what its logits were divided
    by so that 0.8 means 80 %. The weights contain it already.
    """

    name: str
    version: str
    kind: JobKind = JobKind.GENRE
    labels: list[str]
    preprocessing: Preprocessing
    source: str
    metrics: dict[str, float]
    evaluation: Evaluation | None = None
    temperature: float = 1.0
    limits: str
    sha256: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$")]
    starter: bool
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Description:
    """What the maker of a bundle says of it; the rest of the card follows from the weights."""

    name: str
    version: str
    source: str
    limits: str
    metrics: dict[str, float]
    evaluation: Evaluation | None = None
    temperature: float = 1.0
    starter: bool = False


@dataclass(frozen=True, slots=True)
class Bundle:
    path: Path
    card: ModelCard

    @property
    def weights(self) -> Path:
        return self.path / WEIGHTS_FILE


def bundle_path(models_dir: Path, name: str, version: str) -> Path:
    """Where the bundle is or would be.

    Raises:
        ModelBroken: name or version is no safe name of a folder.
    """
    path = models_dir / name / version
    if not _NAME.fullmatch(name) or not _NAME.fullmatch(version):
        remedy = "Use letters, digits, dots, hyphens and underscores, at most 64"
        raise ModelBroken(path=str(path), problem="that is no name or version of a model", remedy=remedy)
    return path


def write_bundle(models_dir: Path, description: Description, state: Mapping[str, Tensor]) -> Bundle:
    """Write weights and card; equal weights give equal bytes. A bundle of that name and version is replaced.

    The tensors must be those of ``network.tensor_shapes``, float32 or bfloat16.
    """
    path = bundle_path(models_dir, description.name, description.version)
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=".unfinished-", dir=path.parent))
    retired = draft.with_suffix(".retired")
    try:
        save_file({name: state[name].contiguous() for name in tensor_shapes()}, draft / WEIGHTS_FILE)
        card = _card(description, sha256_of(draft / WEIGHTS_FILE))
        (draft / CARD_FILE).write_bytes(msgspec.json.format(msgspec.json.encode(card), indent=2) + b"\n")
        if description.evaluation is not None:
            write_diagrams(description.evaluation, draft)
        draft.chmod(0o755)
        if path.exists():
            path.rename(retired)
        draft.rename(path)
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        shutil.rmtree(retired, ignore_errors=True)
    return Bundle(path, card)


def _card(description: Description, sha256: str) -> ModelCard:
    return ModelCard(
        name=description.name,
        version=description.version,
        labels=list(GENRE_IDS),
        preprocessing=Preprocessing(),
        source=description.source,
        metrics=description.metrics,
        evaluation=description.evaluation,
        temperature=description.temperature,
        limits=description.limits,
        sha256=sha256,
        starter=description.starter,
        created_at=utc_now().replace(microsecond=0),
    )


def sha256_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb", buffering=0) as file:
        while piece := file.read(_PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()


def read_bundle(path: Path) -> Bundle:
    """The bundle in the folder ``path``, of which only the card is looked at.

    Raises:
        ModelBroken: as ``read_card``.
    """
    return Bundle(path, read_card(path))


def read_card(path: Path) -> ModelCard:
    """The card of the bundle in the folder ``path``.

    Raises:
        ModelBroken: there is none, or it is not one that this version can serve.
    """
    card_path = path / CARD_FILE
    try:
        card = msgspec.json.decode(card_path.read_bytes(), type=ModelCard)
    except OSError as error:
        problem = f"it can't be read ({error.strerror})"
        raise ModelBroken(path=str(card_path), problem=problem, remedy=_REIMPORT) from error
    except msgspec.DecodeError as error:
        raise ModelBroken(path=str(card_path), problem=f"it is no model card ({error})", remedy=_UNTOUCHED) from error
    if (card.name, card.version) != (path.parent.name, path.name):
        problem = f"it is the card of {card.name}/{card.version}, not of this folder"
        raise ModelBroken(path=str(card_path), problem=problem, remedy=_UNTOUCHED)
    if card.labels != list(GENRE_IDS) or card.preprocessing != Preprocessing():
        problem = "its labels or its preprocessing are not those of this version of Earmark"
        raise ModelBroken(path=str(card_path), problem=problem, remedy=_REIMPORT)
    return card


def verify(path: Path) -> Bundle:
    """The bundle in the folder ``path``, after a check of its card, its checksum and the name, shape and type of every tensor.

    Raises:
        ModelBroken: says which file is wrong, how, and what to do.
    """
    bundle = read_bundle(path)
    try:
        intact = sha256_of(bundle.weights) == bundle.card.sha256
        problems = list(tensor_problems(_tensors_in(bundle.weights)))
    except OSError as error:
        problem = f"it can't be read ({error.strerror})"
        raise ModelBroken(path=str(bundle.weights), problem=problem, remedy=_REIMPORT) from error
    except SafetensorError as error:
        problem = f"it is damaged ({error})"
        raise ModelBroken(path=str(bundle.weights), problem=problem, remedy=_REIMPORT) from error
    if not intact:
        problem = "its checksum is not the one in the card, so it is damaged or has been changed"
        raise ModelBroken(path=str(bundle.weights), problem=problem, remedy=_REIMPORT)
    if problems:
        raise ModelBroken(path=str(bundle.weights), problem=problems[0], remedy=_REIMPORT)
    return bundle


def _tensors_in(weights: Path) -> dict[str, tuple[tuple[int, ...], str]]:
    """Shape and type of each tensor, from the file's header alone."""
    with safe_open(weights, framework="pt") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  not a dict
        return {name: (tuple(part.get_shape()), part.get_dtype()) for name, part in slices.items()}


def tensor_problems(found: Mapping[str, tuple[tuple[int, ...], str]]) -> Iterator[str]:
    """What is wrong with tensors of these names, shapes and safetensors types, a sentence each."""
    expected = tensor_shapes()
    for name in sorted(expected.keys() - found.keys()):
        yield f"the tensor {name} is missing"
    for name, (shape, dtype) in sorted(found.items()):
        if name not in expected:
            yield f"the tensor {name} does not belong to VGG19_BN with the head of 16 genres"
        elif shape != expected[name]:
            yield f"the tensor {name} has the shape {shape}, not {expected[name]}"
        elif dtype not in _DTYPES:
            yield f"the tensor {name} has the type {dtype}, not F32 or BF16"


def bundle_paths(models_dir: Path) -> list[Path]:
    """The folders of all bundles, by name and version; nothing in them is looked at."""
    return sorted(card.parent for card in models_dir.glob(f"[!.]*/[!.]*/{CARD_FILE}"))


def load_weights(bundle: Bundle) -> dict[str, Tensor]:
    """The tensors, copied from the file: whoever writes into it later changes no result. Verify the bundle first."""
    return {name: tensor.clone() for name, tensor in mapped_weights(bundle).items()}


def mapped_weights(bundle: Bundle) -> dict[str, Tensor]:
    """The tensors as parts of the file, for who makes something else of all of them. Verify the bundle first."""
    return load_file(bundle.weights)
