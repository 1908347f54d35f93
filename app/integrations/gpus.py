"""What the driver says of NVIDIA GPUs, by the program that comes with it."""

from __future__ import annotations

import csv
import shutil
import subprocess
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

_FIELDS = ("index", "memory.used", "memory.total", "utilization.gpu")
_MIB = 1024 * 1024
_TIMEOUT_S = 5.0


class GpuCollector(Collector):
    """Memory and utilisation of each GPU of this machine; nothing where there is none."""

    def __init__(self) -> None:
        self._program = shutil.which("nvidia-smi")

    def collect(self) -> Iterator[Metric]:
        used = GaugeMetricFamily("earmark_gpu_memory_used_bytes", "Memory in use, by anybody.", labels=("gpu",))
        size = GaugeMetricFamily("earmark_gpu_memory_size_bytes", "Memory of the GPU.", labels=("gpu",))
        busy = GaugeMetricFamily(
            "earmark_gpu_utilisation_ratio", "Share of the time in which anything ran, from 0 to 1.", labels=("gpu",)
        )
        for index, used_mib, size_mib, percent in self._ask():
            for metric, text, unit in ((used, used_mib, _MIB), (size, size_mib, _MIB), (busy, percent, 0.01)):
                if text.isdecimal():  # "[N/A]" is what some GPUs say
                    metric.add_metric([index], int(text) * unit)
        yield from (used, size, busy)

    def _ask(self) -> list[list[str]]:
        if self._program is None:
            return []
        command = [self._program, f"--query-gpu={','.join(_FIELDS)}", "--format=csv,noheader,nounits"]
        try:
            said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S).stdout
        except (OSError, subprocess.SubprocessError):
            return []
        rows = [[text.strip() for text in row] for row in csv.reader(said.splitlines())]
        return [row for row in rows if len(row) == len(_FIELDS)]
