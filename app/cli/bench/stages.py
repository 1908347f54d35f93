"""Each stage alone: decoding, features, the network."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial
from itertools import cycle
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from app.cli.bench import material
from app.cli.bench.report import Figure, Section, at_least, at_most
from app.cli.bench.subject import Bench
from app.cli.bench.timing import Timing, interleaved, process_cpu_s
from app.inference.audio import decode_file
from app.inference.choices import cpu
from app.inference.cpu_network import CpuNetwork
from app.inference.decoding import SandboxedDecoder
from app.inference.device import compute_with, cpu_computes_bf16
from app.inference.network import network_with, scaled
from app.inference.openvino_trunk import TrunkPlan
from app.inference.picture import FeatureExtractor

_CONTAINERS = ("MP3", "FLAC", "WAV")
_FILES = 12
_BATCH = 8
_DECODE_RATIO = 0.7
_FEATURES_MS = 27
_AMX_BF16_TIMES, _AMX_INT8_TIMES = 5, 10


def decode(bench: Bench) -> Section:
    """Decode, mix and resample 30 s in the sandboxed process, against librosa.load in the same run."""
    contents = [path.read_bytes() for path in material.clips(bench.clips_dir, _FILES)]
    figures = []
    for container in _CONTAINERS:
        encoded = contents if container == "MP3" else [material.encoded_as(content, container) for content in contents]
        ours_ms, theirs_ms = asyncio.run(_decode_times_ms(encoded, bench.rounds))
        figures.append(Figure(f"{container}: Earmark", ours_ms, "ms of a core"))
        if theirs_ms is not None:
            figures.append(Figure(f"{container}: librosa.load", theirs_ms, "ms of a core"))
            figures.append(at_most(f"{container}: ratio", ours_ms / theirs_ms, "", _DECODE_RATIO))
    notes = [] if bench.has_reference else ["librosa is missing (pip install 'earmark[bench]'): no ratios"]
    return Section("Decode and resample 30 s", figures, notes)


async def _decode_times_ms(contents: list[bytes], rounds: int) -> tuple[float, float | None]:
    """CPU time a file, ours by the decoder process's own account and librosa's, taking turns file by file."""
    load = _librosa_load()
    decoder = SandboxedDecoder(processes=1, timeout_s=60)
    await decoder.start()
    try:
        [pid] = decoder.process_ids
        await decoder.decode(contents[0])
        if load:
            load(contents[0])
        before_s, theirs_s = process_cpu_s(pid), 0.0
        for content in contents * rounds:
            await decoder.decode(content)
            if load:
                started_s = time.process_time()
                load(content)
                theirs_s += time.process_time() - started_s
        ours_s = process_cpu_s(pid) - before_s
    finally:
        await decoder.close()
    files = len(contents) * rounds
    return 1e3 * ours_s / files, 1e3 * theirs_s / files if load else None


def _librosa_load() -> Callable[[bytes], object] | None:
    try:
        from app.cli.bench.reference import reference_samples  # noqa: PLC0415  needs the extra
    except ImportError:
        return None
    return reference_samples


def features(bench: Bench) -> Section:
    """CQT and pictures of a clip of 30 s on one thread."""
    clips = [decode_file(str(path)) for path in material.clips(bench.clips_dir, _FILES)]
    featurizer = FeatureExtractor()
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        cases: dict[str, Callable[[], object]] = {"ours": lambda: [featurizer.windows(clip) for clip in clips]}
        if bench.has_reference:
            from app.cli.bench.reference import reference_decibels, reference_pictures  # noqa: PLC0415

            cases["cqt"] = lambda: [reference_decibels(clip.samples) for clip in clips]
            cases["reference"] = lambda: [reference_pictures(clip.samples) for clip in clips]
        times = interleaved(cases, bench.rounds)
    finally:
        torch.set_num_threads(before)
    per_clip_ms = {name: 1e3 * timing.cpu_s / len(clips) for name, timing in times.items()}
    figures = [at_most("CQT, two pictures, spectrogram", per_clip_ms["ours"], "ms of a core", _FEATURES_MS)]
    if bench.has_reference:
        figures += [
            Figure("librosa.cqt alone", per_clip_ms["cqt"], "ms of a core"),
            Figure("the reference's CQT and pictures", per_clip_ms["reference"], "ms of a core"),
            Figure("ratio to the reference", per_clip_ms["ours"] / per_clip_ms["reference"], ""),
        ]
    return Section("CQT and pictures of 30 s", figures)


def model(bench: Bench) -> Section:
    """The network alone in each precision, against torch as people write it: eager, float32."""
    state, choices = bench.state, bench.choices
    pictures = np.random.default_rng(0).integers(0, 256, (_BATCH, 224, 224, 3), np.uint8)
    eager = network_with({name: tensor.float() for name, tensor in state.items()})
    networks = {plan.precision: CpuNetwork(state, plan) for plan in _plans(bench.peaks(), choices.threads)}
    figures = []
    for batch in (1, 2, _BATCH):
        cases: dict[str, Callable[[], object]] = {"eager fp32": partial(_eager, eager, pictures[:batch])}
        for precision, network in networks.items():
            cases[precision] = partial(network.forward, pictures[:batch])
        times = {name: timing.wall_s for name, timing in interleaved(cases, bench.rounds).items()}
        figures.append(Figure(f"torch, eager fp32, batch {batch}", batch / times["eager fp32"], "windows/s"))
        for precision in networks:
            figures.append(Figure(f"{precision}, batch {batch}", batch / times[precision], "windows/s"))
            figures.append(_times_eager(precision, batch, times["eager fp32"] / times[precision]))
    return Section("The network alone", figures, [_which_target()])


def _plans(peaks: list[float], threads: int) -> list[TrunkPlan]:
    bf16 = [TrunkPlan("bf16", threads=threads)] if cpu_computes_bf16() else []
    return [TrunkPlan("fp32", threads=threads), *bf16, TrunkPlan("int8", peaks, threads)]


def _times_eager(precision: str, batch: int, ratio: float) -> Figure:
    limit = {"bf16": _AMX_BF16_TIMES, "int8": _AMX_INT8_TIMES}.get(precision)
    name = f"{precision}, batch {batch}: times eager"
    if limit is None or batch != _BATCH or not _has_amx():
        return Figure(name, ratio, "x")
    return at_least(name, ratio, "x", limit)


def _has_amx() -> bool:
    _, flags = cpu()
    return "amx_bf16" in flags


def _which_target() -> str:
    targets = f"{_AMX_BF16_TIMES} x eager in bf16 and {_AMX_INT8_TIMES} x in int8"
    if _has_amx():
        return f"This processor has AMX: {targets} are the targets."
    return f"This processor has no AMX: {targets} are targets for those that do, so none applies here."


def _eager(network: torch.nn.Module, pictures: NDArray[np.uint8]) -> object:
    with torch.inference_mode():
        return network(scaled(torch.from_numpy(pictures)).contiguous()).softmax(dim=1)


def stage_timings(bench: Bench, paths: list[Path]) -> dict[str, Timing]:
    """Medians of each stage of one clip alone: decode, features, forward; and forward of a clip among many."""
    clips = [decode_file(str(path)) for path in paths]
    featurizer, network = FeatureExtractor(), bench.network()
    windows = [featurizer.windows(clip).pictures for clip in clips]
    many = np.concatenate(windows)
    turn = cycle(range(len(paths)))

    def draw() -> object:
        compute_with(1)  # as among many
        return featurizer.windows(clips[next(turn)])

    found = interleaved(
        {
            "decode": lambda: decode_file(str(paths[next(turn)])),
            "features": draw,
            "forward": lambda: network.forward(windows[next(turn)]),
            "forward among many": lambda: network.forward(many),
        },
        rounds=max(bench.rounds, len(paths)),
    )
    together = found["forward among many"]
    share = 1 / len(paths)
    return {**found, "forward among many": Timing(together.wall_s * share, together.cpu_s * share)}
