"""30 s of audio on one slow core: no AMX, no AVX-512, float32. Runs itself again as a process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import torch

from app.cli.bench import material
from app.cli.bench.report import Figure, Section, at_most
from app.cli.bench.subject import Bench
from app.inference.audio import decode_file
from app.inference.bundle import load_weights, read_bundle
from app.inference.cpu_network import CpuNetwork
from app.inference.openvino_trunk import TrunkPlan
from app.inference.picture import FeatureExtractor

_SLOW_ISA = "AVX2"
_LIMIT_S = 3.0
_CLIPS = 3


def slow_core(bench: Bench) -> Section:
    """Decode, features and forward of one clip, pinned to one core, with and without the vector extensions."""
    core = min(os.sched_getaffinity(0))
    paths = material.clips(bench.clips_dir, _CLIPS)
    slow_s = _seconds(bench, paths, core, {"ONEDNN_MAX_CPU_ISA": _SLOW_ISA, "ATEN_CPU_CAPABILITY": "avx2"})
    fast_s = _seconds(bench, paths, core, {})
    return Section(
        "30 s of audio on one core, fp32",
        [at_most(f"at most {_SLOW_ISA}", slow_s, "s", _LIMIT_S), Figure("all extensions", fast_s, "s")],
    )


def _seconds(bench: Bench, paths: list[Path], core: int, environment: dict[str, str]) -> float:
    ended = subprocess.run(
        ["taskset", "--cpu-list", str(core), sys.executable, "-m", __name__, str(bench.bundle.path), *map(str, paths)],  # noqa: S607
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    return float(json.loads(ended.stdout))


def main() -> None:
    torch.set_num_threads(1)
    network = CpuNetwork(load_weights(read_bundle(Path(sys.argv[1]))), TrunkPlan("fp32", threads=1))
    featurizer = FeatureExtractor()
    seconds = []
    for path in sys.argv[2:]:
        started_s = time.perf_counter()
        network.forward(featurizer.windows(decode_file(path)).pictures)
        seconds.append(time.perf_counter() - started_s)
    print(json.dumps(min(seconds)))


if __name__ == "__main__":
    main()
