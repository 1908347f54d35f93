"""From a model and labelled recordings to a better model: fine-tuned, calibrated, and measured on recordings it never heard."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from app.domain.evaluation import Evaluation, evaluate
from app.inference.bundle import Bundle, Description, bundle_path, load_weights, write_bundle
from app.inference.calibration import best_temperature, clip_labels, clip_probabilities
from app.inference.device import Placement
from app.inference.finetuning import Plan, TrainableNetwork, Training
from app.inference.fit import Examples, Report

_LIMITS = "Knows only genres like those of the recordings it was fitted on."
_LAST_LAYER = ("classifier.9.weight", "classifier.9.bias")


@dataclass(frozen=True, slots=True)
class Destination:
    """Where the new bundle goes."""

    models_dir: Path
    name: str
    version: str

    @property
    def work_folder(self) -> Path:
        """Where a fit keeps what it would go on from."""
        path = bundle_path(self.models_dir, self.name, self.version)
        return path.parent / f".fit-{path.name}"


def fit_bundle(
    base: Bundle, examples: Examples, plan: Plan, placement: Placement, *, to: Destination, report: Report
) -> Bundle:
    """Fine-tune ``base`` (verify it first) and write the result as a new bundle with its measurements.

    A fit that was cut off goes on where it was, if it is asked for again with the same model, recordings and plan.
    """
    folder = to.work_folder
    _prepare(folder, _fingerprint(base, examples, plan))
    state = load_weights(base)
    network = TrainableNetwork(state, placement, plan.layers)
    training = Training(network, _fixed(network, examples, folder, report), examples, plan)
    if base.card.starter:
        training.start_from_regression()
    training.run(folder, report)
    temperature = _temperature(training)
    description = _description(training, base, plan, temperature=temperature, to=to)
    tensors = {**state, **_calibrated(network.trained_tensors(), state, temperature)}
    bundle = write_bundle(to.models_dir, description, tensors)
    shutil.rmtree(folder)
    return bundle


def _fingerprint(base: Bundle, examples: Examples, plan: Plan) -> str:
    digest = hashlib.sha256(f"{base.card.sha256} {astuple(plan)}".encode())
    for part in (examples.pictures, examples.labels, examples.clips):
        digest.update(np.ascontiguousarray(part).data)
    return digest.hexdigest()


def _prepare(folder: Path, fingerprint: str) -> None:
    """Empty the folder unless it belongs to the same fit."""
    note = folder / "fingerprint"
    if not note.exists() or note.read_text() != fingerprint:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        note.write_text(fingerprint)


def _fixed(network: TrainableNetwork, examples: Examples, folder: Path, report: Report) -> Tensor:
    path = folder / "fixed.npy"
    if not path.exists():
        draft = folder / "unfinished.npy"
        np.save(draft, network.fixed_part(examples.pictures, report).numpy())
        draft.replace(path)
    return torch.from_numpy(np.load(path))


def _temperature(training: Training) -> float:
    own = training.split.checking
    return best_temperature(training.logits(own), training.examples.labels[own], training.examples.clips[own])


def _description(training: Training, base: Bundle, plan: Plan, *, temperature: float, to: Destination) -> Description:
    before, after = (_measured(training, value) for value in (1.0, temperature))
    recordings = len(np.unique(training.examples.clips))
    return Description(
        name=to.name,
        version=to.version,
        source=f"{base.card.name}/{base.card.version}, fine-tuned ({plan.layers}) on {recordings} labelled recordings",
        limits=_LIMITS,
        metrics={
            "accuracy": round(after.accuracy, 4),
            "macro_f1": round(after.macro_f1, 4),
            "calibration_error_before": round(before.calibration_error, 4),
            "calibration_error": round(after.calibration_error, 4),
        },
        evaluation=after,
        temperature=temperature,
    )


def _measured(training: Training, temperature: float) -> Evaluation:
    """On the recordings that neither training nor calibration has heard."""
    own = training.split.testing
    labels, clips = training.examples.labels[own], training.examples.clips[own]
    probabilities = clip_probabilities(training.logits(own), clips, temperature)
    return evaluate(probabilities.tolist(), clip_labels(labels, clips).tolist())


def _calibrated(trained: dict[str, Tensor], state: dict[str, Tensor], temperature: float) -> dict[str, Tensor]:
    """The trained tensors with the temperature in the last layer, in the number formats of the model they came from."""
    tempered = {name: trained[name] / temperature for name in _LAST_LAYER}
    return {name: value.to(state[name].dtype) for name, value in {**trained, **tempered}.items()}
