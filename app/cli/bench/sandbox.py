"""What it costs to decode in a process that may do nothing else."""

from __future__ import annotations

import asyncio
import ctypes
import tempfile
import time

from app.cli.bench import material
from app.cli.bench.report import Figure, Section, at_most
from app.cli.bench.subject import Bench
from app.cli.bench.timing import process_cpu_s
from app.inference.audio import decode_file
from app.inference.decoding import SandboxedDecoder

_FILES = 12
_COST_MS = 5
# Names of GNU's mallopt, for what ``app.inference.sandbox.ENVIRONMENT`` sets.
_TRIM_THRESHOLD, _MMAP_THRESHOLD, _NEVER = -1, -3, 1 << 30


def sandbox(bench: Bench) -> Section:
    """30 s decoded in a sandboxed process and in this one, taking turns file by file; the time of both ends is counted."""
    _keep_memory()
    contents = [path.read_bytes() for path in material.clips(bench.clips_dir, _FILES)]
    inside_ms, here_ms = asyncio.run(_times_ms(contents, bench.rounds))
    figures = [
        Figure("in a sandboxed process", inside_ms, "ms of a core"),
        Figure("in this process", here_ms, "ms of a core"),
        at_most("what the sandbox costs", inside_ms - here_ms, "ms of a core", _COST_MS),
    ]
    return Section("The sandbox of decoding, for each clip of 30 s", figures)


async def _times_ms(contents: list[bytes], rounds: int) -> tuple[float, float]:
    """CPU time from content to clip, which other programs hardly change."""
    decoder = SandboxedDecoder(processes=1, timeout_s=60)
    await decoder.start()
    try:
        [pid] = decoder.process_ids
        await decoder.decode(contents[0])
        _decode_here(contents[0])
        before_s, ours_s, here_s = process_cpu_s(pid), 0.0, 0.0
        for content in contents * rounds:
            started_s = time.process_time()
            await decoder.decode(content)
            ours_s += time.process_time() - started_s
            here_s += _decode_here(content)
        inside_s = process_cpu_s(pid) - before_s + ours_s
    finally:
        await decoder.close()
    files = len(contents) * rounds
    return 1e3 * inside_s / files, 1e3 * here_s / files


def _keep_memory() -> None:
    """As decoder processes do, so that it is the sandbox which makes the difference."""
    libc = ctypes.CDLL(None)
    libc.mallopt(_TRIM_THRESHOLD, _NEVER)
    libc.mallopt(_MMAP_THRESHOLD, _NEVER)


def _decode_here(content: bytes) -> float:
    """Seconds of CPU time; the content is in a file already, as it is for a decoder process."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        started_s = time.process_time()
        decode_file(file.name)
        return time.process_time() - started_s
