"""Which precision and batch size are best for a model on this machine: measured, not guessed.

A precision may be chosen if it keeps the answers that float32 gives on the built-in clips; of those that may, the fastest
is. Workers run this as a process of its own, at low priority, so that neither its memory nor its work is theirs.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from app.inference.bundle import load_weights, read_bundle
from app.inference.check_clips import WINDOWS_PER_CLIP, calibration_pictures, judging_pictures
from app.inference.choices import Choice, Choices, Measured, Precision
from app.inference.contracts import Featurizer
from app.inference.cpu_network import CpuNetwork, with_float_features
from app.inference.device import cpu_computes_bf16
from app.inference.network import folded_trunk, network_with
from app.inference.openvino_trunk import OpenVinoTrunk, TrunkPlan
from app.inference.picture import FeatureExtractor
from app.inference.sandboxed import die_with_parent

Answers = NDArray[np.float32]

# A clip whose two best genres are closer than this in float32 is a toss-up: that it falls otherwise says nothing.
_TOSS_UP = 0.02
_SAME_ANSWERS = 0.99
_MEAN_DIFFERENCE = 0.005
_WORST_DIFFERENCE = 0.1

_CHUNK = 4
_BATCHES = (1, 2, 4, 8, 16)
_BATCH_ROUNDS = 3
_AS_FAST = 0.95
_NICENESS = 10


@dataclass(frozen=True, slots=True)
class Likeness:
    """How alike two sets of answers are; see ``choices.Measured``."""

    same_answers: float
    mean_difference: float
    worst_difference: float
    holds: bool


def likeness(reference: Answers, answers: Answers) -> Likeness:
    """Compare probabilities of clips, (clips, 16) each."""
    best = np.sort(reference, axis=1)
    sure = best[:, -1] - best[:, -2] >= _TOSS_UP
    same = reference.argmax(axis=1) == answers.argmax(axis=1)
    difference = np.abs(reference - answers)
    mean, worst = float(difference.mean()), float(difference.max())
    same_where_sure = float(same[sure].mean()) if sure.any() else 1.0
    holds = same_where_sure >= _SAME_ANSWERS and mean <= _MEAN_DIFFERENCE and worst <= _WORST_DIFFERENCE
    return Likeness(float(same.mean()), mean, worst, holds)


def calibrate(state: Mapping[str, Tensor], featurizer: Featurizer, *, threads: int) -> list[float]:
    """The ranges that int8 needs (see ``openvino_trunk.Peaks``)."""
    trunk = folded_trunk(network_with(with_float_features(state)))
    watched = OpenVinoTrunk(trunk, TrunkPlan("fp32", threads=threads), watched=True)
    pictures = calibration_pictures(featurizer)
    parts = [watched.peaks(pictures[start : start + _CHUNK]) for start in range(0, len(pictures), _CHUNK)]
    return [max(peaks) for peaks in zip(*parts, strict=True)]


def check(state: Mapping[str, Tensor], choices: Choices, featurizer: Featurizer) -> Choice:
    """Calibrate, measure, choose, and keep the result (half a minute of two cores, and 2 GB of memory for a while)."""
    if (peaks := choices.peaks()) is None:
        peaks = calibrate(state, featurizer, threads=choices.threads)
        choices.keep_peaks(peaks)
    pictures = judging_pictures(featurizer)
    plans = _candidates(peaks, choices.threads)
    networks = [CpuNetwork(state, plan) for plan in plans]
    answers, windows_per_s = _in_turns(networks, pictures)
    measured = [
        _measured(plan.precision, speed, likeness(answers[0], found))
        for plan, found, speed in zip(plans, answers, windows_per_s, strict=True)
    ]
    best = max((candidate for candidate in measured if candidate.holds), key=lambda found: found.windows_per_s)
    fastest = networks[measured.index(best)]
    choice = Choice(precision=best.precision, batch_windows=_best_batch(fastest, pictures), measured=measured)
    choices.keep_choice(choice)
    return choice


def _candidates(peaks: list[float], threads: int) -> list[TrunkPlan]:
    """float32 first: the others are held against it."""
    bf16 = [TrunkPlan("bf16", threads=threads)] if cpu_computes_bf16() else []
    return [TrunkPlan("fp32", threads=threads), *bf16, TrunkPlan("int8", peaks, threads)]


def _measured(precision: Precision, windows_per_s: float, found: Likeness) -> Measured:
    return Measured(
        precision=precision,
        windows_per_s=round(windows_per_s, 2),
        same_answers=round(found.same_answers, 4),
        mean_difference=round(found.mean_difference, 5),
        worst_difference=round(found.worst_difference, 5),
        holds=found.holds,
    )


def _in_turns(networks: Sequence[CpuNetwork], pictures: NDArray[np.uint8]) -> tuple[list[Answers], list[float]]:
    """Each network's probabilities of clips, (clips, 16), and its median speed in windows a second.

    The networks take turns, so that what else the machine does slows all of them alike.
    """
    parts = [pictures[start : start + _CHUNK] for start in range(0, len(pictures), _CHUNK)]
    answers: list[list[Answers]] = [[] for _ in networks]
    seconds: list[list[float]] = [[] for _ in networks]
    for network in networks:
        network.forward(parts[0])  # the first pass prepares
    for part in parts:
        for network, rows, durations in zip(networks, answers, seconds, strict=True):
            started = time.perf_counter()
            rows.append(network.forward(part))
            durations.append(time.perf_counter() - started)
    return [_of_clips(np.concatenate(rows)) for rows in answers], [
        _CHUNK / statistics.median(durations) for durations in seconds
    ]


def _of_clips(windows: Answers) -> Answers:
    clips: Answers = windows.reshape(-1, WINDOWS_PER_CLIP, windows.shape[1]).mean(axis=1)
    return clips


def _best_batch(network: CpuNetwork, pictures: NDArray[np.uint8]) -> int:
    speeds = {}
    batches = [batch for batch in _BATCHES if batch <= len(pictures)]
    for batch in batches:
        seconds = []
        for _ in range(_BATCH_ROUNDS):
            started = time.perf_counter()
            network.forward(pictures[:batch])
            seconds.append(time.perf_counter() - started)
        speeds[batch] = batch / min(seconds)
    return next(batch for batch in batches if speeds[batch] >= _AS_FAST * max(speeds.values()))


def main() -> None:
    """With the arguments that ``adaptive.check_command`` gives."""
    path, folder, threads, parent_id = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])
    die_with_parent(parent_id)
    os.nice(_NICENESS)
    torch.set_num_threads(threads)
    bundle = read_bundle(path)
    check(load_weights(bundle), Choices(folder, bundle.card.sha256, threads), FeatureExtractor())


if __name__ == "__main__":
    main()
