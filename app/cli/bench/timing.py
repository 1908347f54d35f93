"""Ratios that hold on a machine with other things to do: cases take turns, and medians are compared."""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

_CLOCK_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Timing:
    """Medians of one call. ``cpu_s``: of all threads of this process together, which other programs hardly change."""

    wall_s: float
    cpu_s: float


def interleaved(cases: Mapping[str, Callable[[], object]], rounds: int) -> dict[str, Timing]:
    """Call each case once to warm up, then ``rounds`` times in turns."""
    for case in cases.values():
        case()
    walls: dict[str, list[float]] = {name: [] for name in cases}
    cpus: dict[str, list[float]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, case in cases.items():
            wall_s, cpu_s = time.perf_counter(), time.process_time()
            case()
            walls[name].append(time.perf_counter() - wall_s)
            cpus[name].append(time.process_time() - cpu_s)
    return {name: Timing(statistics.median(walls[name]), statistics.median(cpus[name])) for name in cases}


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least this share of the values does not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(round(len(ordered) * share, 6)) - 1)]


def process_cpu_s(pid: int) -> float:
    """CPU time of another process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _CLOCK_TICKS_PER_S


def process_memory_bytes(pid: int) -> int:
    """Resident memory of another process."""
    fields = Path(f"/proc/{pid}/statm").read_text().split()
    return int(fields[1]) * os.sysconf("SC_PAGE_SIZE")
