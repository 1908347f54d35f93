"""Earmark against the reference program, on a folder of recordings: pixels, answers, probabilities."""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from click import ClickException
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import track

from app.cli.bench.report import Figure, Section, at_least, at_most
from app.cli.bench.subject import Bench
from app.domain.failures import AnalysisFailed
from app.inference.audio import decode_file
from app.inference.choices import Precision
from app.inference.contracts import SAMPLE_RATE_HZ, WINDOW_S
from app.inference.cpu_network import CpuNetwork
from app.inference.device import cpu_computes_bf16
from app.inference.network import network_with
from app.inference.openvino_trunk import TrunkPlan
from app.inference.picture import FeatureExtractor

_PIXEL_ERROR = 0.002
_AGREEMENT = {"fp32": 0.995, "default": 0.99}

Answers = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Compared:
    """One recording: each side's pictures, (windows, 224, 224, 3), and the reference's probabilities, (windows, 16)."""

    ours: NDArray[np.uint8]
    theirs: NDArray[np.uint8]
    probabilities: Answers

    @property
    def pixel_error(self) -> float:
        return float(np.abs(self.ours.astype(np.int16) - self.theirs).mean() / 255)


def fidelity(bench: Bench, folder: Path) -> Section:
    """Both pipelines over every recording below ``folder`` that is long enough for the reference (11.4 s)."""
    if not bench.has_reference:
        raise ClickException("the reference needs librosa and matplotlib: pip install 'earmark[bench]'")
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    compared, left_out = _compare(bench, paths)
    if not compared:
        raise ClickException(f"there is no recording of {WINDOW_S:g} s or more in {folder}")
    pictures = np.concatenate([one.ours for one in compared])
    errors = [one.pixel_error for one in compared]
    figures = [
        Figure("recordings", len(compared), ""),
        Figure("windows", len(pictures), ""),
        at_most("mean pixel error, on [0, 1]", float(np.mean(errors)), "", _PIXEL_ERROR),
        Figure("worst recording's pixel error", max(errors), ""),
        Figure("the reference's mean first probability", float(_joined(compared).max(axis=1).mean()), ""),
    ]
    for precision in _precisions():
        network = CpuNetwork(bench.state, _plan(bench, precision))
        figures += _agreement(compared, network.forward(pictures), precision, default=bench.plan.precision)
    notes = [f"{left_out} files left out: no audio, or shorter than {WINDOW_S:g} s"] if left_out else []
    return Section(f"Fidelity to the reference, {bench.bundle.card.name}/{bench.bundle.card.version}", figures, notes)


def _compare(bench: Bench, paths: list[Path]) -> tuple[list[_Compared], int]:
    from app.cli.bench.reference import reference_pictures, reference_probabilities, reference_samples  # noqa: PLC0415

    featurizer = FeatureExtractor()
    network = network_with({name: tensor.float() for name, tensor in bench.state.items()})

    def both(path: Path) -> _Compared | None:
        try:
            clip = decode_file(str(path))
        except AnalysisFailed:
            return None
        if len(clip.samples) < WINDOW_S * SAMPLE_RATE_HZ:
            return None
        theirs = reference_pictures(reference_samples(path.read_bytes()))
        return _Compared(featurizer.windows(clip).pictures, theirs, reference_probabilities(network, theirs))

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        with ThreadPoolExecutor(os.cpu_count()) as threads:
            progress = track(threads.map(both, paths), "Both pipelines", total=len(paths), console=Console(stderr=True))
            found = list(progress)
    finally:
        torch.set_num_threads(before)
    compared = [one for one in found if one is not None]
    return compared, len(found) - len(compared)


def _precisions() -> Iterable[Precision]:
    return ("fp32", "bf16", "int8") if cpu_computes_bf16() else ("fp32", "int8")


def _plan(bench: Bench, precision: Precision) -> TrunkPlan:
    return TrunkPlan(precision, bench.peaks() if precision == "int8" else None, bench.choices.threads)


def _joined(compared: list[_Compared]) -> Answers:
    return np.concatenate([one.probabilities for one in compared])


def _agreement(
    compared: list[_Compared], answers: Answers, precision: Precision, *, default: Precision
) -> list[Figure]:
    reference = _joined(compared)
    difference = np.abs(answers - reference)
    counts = np.cumsum([len(one.ours) for one in compared])[:-1]
    clips, clips_of_reference = (
        np.array([part.mean(axis=0).argmax() for part in np.split(rows, counts)]) for rows in (answers, reference)
    )
    windows_agree = float(np.mean(answers.argmax(axis=1) == reference.argmax(axis=1)))
    clips_agree = float(np.mean(clips == clips_of_reference))
    name = f"{precision} (default here)" if precision == default else precision
    limit = _AGREEMENT["fp32"] if precision == "fp32" else _AGREEMENT["default"] if precision == default else None
    title = f"{name}: same first choice, of clips"
    return [
        Figure(title, clips_agree, "") if limit is None else at_least(title, clips_agree, "", limit),
        Figure(f"{name}: same first choice, of windows", windows_agree, ""),
        Figure(f"{name}: mean difference of probabilities", float(difference.mean()), ""),
        Figure(f"{name}: worst difference of probabilities", float(difference.max()), ""),
    ]
