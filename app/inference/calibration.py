"""Temperature scaling: one number that makes a network's probabilities mean what they say, and changes no first choice of a
window (Guo et al., "On calibration of modern neural networks", 2017)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

# Temperatures that are tried: a fine ladder is safer than a search, as the loss of averaged windows may have several valleys.
_LADDER = np.geomspace(0.1, 10, 201)
_SMALLEST_PROBABILITY = 1e-12


def clip_probabilities(
    logits: NDArray[np.float32], clips: NDArray[np.int64], temperature: float = 1.0
) -> NDArray[np.float64]:
    """What Earmark answers for each clip: the mean over its windows. Logits (windows, 16) to (clips, 16), by clip number."""
    return clip_means(softmax(logits.astype(np.float64) / temperature, axis=1), clips)


def clip_means(windows: NDArray[np.floating], clips: NDArray[np.int64]) -> NDArray[np.float64]:
    """(windows, 16) to (clips, 16), by clip number."""
    _, numbers, counts = np.unique(clips, return_inverse=True, return_counts=True)
    sums = np.zeros((len(counts), windows.shape[1]))
    np.add.at(sums, numbers, windows)
    return sums / counts[:, None]


def clip_labels(labels: NDArray[np.int64], clips: NDArray[np.int64]) -> NDArray[np.int64]:
    """The class of each clip, by clip number."""
    _, first = np.unique(clips, return_index=True)
    return labels[first]


def log_loss(
    logits: NDArray[np.float32], labels: NDArray[np.int64], clips: NDArray[np.int64], temperature: float
) -> float:
    """Mean negative log likelihood of the clips' true classes."""
    truth = clip_labels(labels, clips)
    probabilities = clip_probabilities(logits, clips, temperature)[np.arange(len(truth)), truth]
    return float(-np.log(np.maximum(probabilities, _SMALLEST_PROBABILITY)).mean())


def best_temperature(logits: NDArray[np.float32], labels: NDArray[np.int64], clips: NDArray[np.int64]) -> float:
    """The temperature, from 0.1 to 10, with the smallest log loss. ``logits``: (windows, 16)."""
    losses = [log_loss(logits, labels, clips, temperature) for temperature in _LADDER]
    return float(_LADDER[int(np.argmin(losses))])
