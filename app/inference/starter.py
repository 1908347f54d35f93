"""The starter: the model that Earmark makes itself, from nothing but code."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from app.inference.bundle import Bundle, Description, write_bundle
from app.inference.contracts import Featurizer
from app.inference.device import Placement
from app.inference.examples import examples_of_recipes
from app.inference.fit import Report, fit_network
from app.inference.network import TorchNetwork

NAME = "starter"
# Part of the bundle's identity: raise it whenever recipes or fit change.
VERSION = "1"
_CLIPS_PER_GENRE = 12
_FRESH_CLIPS_PER_GENRE = 3
_FRESH_SEEDS_FROM = 1_000
_STARTER_LIMITS = "Knows only its own synthesised examples. For trying Earmark out, not for judging real recordings."


def build_starter(
    models_dir: Path,
    featurizer: Featurizer,
    placement: Placement,
    report: Report,
    *,
    clips_per_genre: int = _CLIPS_PER_GENRE,
) -> Bundle:
    """Synthesise music, fit the head on it, measure the result on fresh music, and write the bundle.

    The same machine always makes the same weights.
    """
    examples = examples_of_recipes(range(clips_per_genre), featurizer, report)
    state, head = fit_network(examples, placement, report)
    seeds = range(_FRESH_SEEDS_FROM, _FRESH_SEEDS_FROM + _FRESH_CLIPS_PER_GENRE)
    fresh = examples_of_recipes(seeds, featurizer, report)
    answers = TorchNetwork(state, placement).forward(fresh.pictures).argmax(axis=1)
    metrics = {
        "accuracy_on_fresh_recipes": round(float(np.mean(answers == fresh.labels)), 4),
        "accuracy_cross_validated": round(head.accuracy, 4),
    }
    description = Description(
        name=NAME,
        version=VERSION,
        source=f"built by Earmark from {clips_per_genre} synthesised clips of each genre",
        limits=_STARTER_LIMITS,
        metrics=metrics,
        starter=True,
    )
    return write_bundle(models_dir, description, state)
