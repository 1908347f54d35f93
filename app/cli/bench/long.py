"""A recording of ten hours: memory that does not grow, and how fast everything but the network is."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import numpy as np
import soundfile

from app.cli.bench.report import Figure, Section, at_most
from app.cli.bench.subject import Bench
from app.cli.bench.timing import process_memory_bytes
from app.inference.contracts import Analysis
from app.inference.decoding import SandboxedDecoder
from app.inference.engine import Engine
from app.inference.fake import FakeNetwork
from app.inference.long_decoding import SandboxedLongDecoder
from app.inference.picture import FeatureExtractor

_HOURS = 10
_RATE_HZ = 44_100
_BLOCK_S = 60
_GROWTH_MB, _DECODER_MB = 100, 400
_WARM_UP_STRETCHES = 20


class _Memory:
    """What this process and its decoder take, looked at after each stretch."""

    def __init__(self) -> None:
        self.before_bytes = self.most_bytes = self.decoder_bytes = self.stretches = 0

    @property
    def growth_mb(self) -> float:
        return (self.most_bytes - self.before_bytes) / 1e6

    async def look(self, _: float | None) -> None:
        self.stretches += 1
        self.most_bytes = max(self.most_bytes, process_memory_bytes(os.getpid()))
        if self.stretches == _WARM_UP_STRETCHES:
            self.before_bytes = self.most_bytes
        decoders = [process_memory_bytes(pid) for pid in _long_decoders()]
        self.decoder_bytes = max(self.decoder_bytes, *decoders, 0)


def long(bench: Bench) -> Section:
    """Decode, transform and draw ten hours, with a network that takes no time."""
    with tempfile.TemporaryFile(dir=_folder(bench)) as file:
        _synthesise(file.fileno())
        memory = _Memory()
        started_s = time.perf_counter()
        analysis = asyncio.run(_analyse(bench, file.fileno(), memory))
        seconds = time.perf_counter() - started_s
    return Section(
        f"A recording of {_HOURS} hours, without the network",
        [
            Figure("windows", len(analysis.windows), ""),
            Figure("times as fast as it plays", analysis.clip.duration_s / seconds, ""),
            at_most("memory that it takes more than its first minutes", memory.growth_mb, "MB", _GROWTH_MB),
            at_most("memory of the decoder process", memory.decoder_bytes / 1e6, "MB", _DECODER_MB),
            Figure("overview picture", len(analysis.spectrogram_png) / 1e6, "MB"),
        ],
    )


def _folder(bench: Bench) -> Path:
    bench.settings.cache_dir.mkdir(parents=True, exist_ok=True)
    return bench.settings.cache_dir


def _synthesise(descriptor: int) -> None:
    """FLAC, stereo: a minute of tones over noise, again and again."""
    times = np.arange(_BLOCK_S * _RATE_HZ) / _RATE_HZ
    sound = 0.3 * np.sin(2 * np.pi * (220 + 40 * np.sin(times / 3)) * times)
    block = (sound[:, np.newaxis] + 0.01 * np.random.default_rng(0).standard_normal((len(times), 2))).astype(np.float32)
    with soundfile.SoundFile(os.dup(descriptor), "w", _RATE_HZ, 2, format="FLAC") as file:
        for _ in range(_HOURS * 3600 // _BLOCK_S):
            file.write(block)


async def _analyse(bench: Bench, descriptor: int, memory: _Memory) -> Analysis:
    settings = bench.settings
    decoder = SandboxedDecoder(processes=1, timeout_s=settings.decode_timeout_s)
    await decoder.start()
    try:
        engine = Engine(
            decoder,
            FeatureExtractor(),
            FakeNetwork(),
            batch_windows=settings.batch_windows,
            feature_threads=os.cpu_count() or 1,
            long_decoder=SandboxedLongDecoder(timeout_s=settings.decode_timeout_s),
        )
        async with engine:
            return await engine.analyse_whole(descriptor, memory.look)
    finally:
        await decoder.close()


def _long_decoders() -> list[int]:
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children if b"long_decoder_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]
