"""Measuring a network on labelled recordings, as the workers would answer them."""

from __future__ import annotations

import numpy as np

from app.domain.evaluation import Evaluation, evaluate
from app.inference.calibration import clip_labels, clip_means
from app.inference.contracts import Network
from app.inference.fit import Examples, Report, batches


def judged(network: Network, examples: Examples, report: Report) -> Evaluation:
    windows = np.concatenate([network.forward(batch) for batch in batches(examples.pictures, report)])
    return evaluate(clip_means(windows, examples.clips).tolist(), clip_labels(examples.labels, examples.clips).tolist())
