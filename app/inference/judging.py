"""Measuring a network on labelled recordings, as the workers would answer them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.domain.evaluation import Evaluation, evaluate
from app.inference.calibration import clip_labels
from app.inference.contracts import Network
from app.inference.fit import Examples, Report

_BATCH_WINDOWS = 16


def judged(network: Network, examples: Examples, report: Report) -> Evaluation:
    batches = np.array_split(examples.pictures, -(-len(examples.pictures) // _BATCH_WINDOWS))
    found: list[NDArray[np.float32]] = []
    for done, batch in enumerate(batches, start=1):
        found.append(network.forward(batch))
        report("features", done, len(batches))
    windows = np.concatenate(found)
    clips = np.unique(examples.clips)
    probabilities = [windows[examples.clips == clip].mean(axis=0).tolist() for clip in clips]
    return evaluate(probabilities, clip_labels(examples.labels, examples.clips).tolist())
