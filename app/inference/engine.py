"""The engine: from the bytes of a file to its genre probabilities."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import numpy as np

from app.domain.results import Window
from app.inference.batching import BatcherState, MicroBatcher
from app.inference.contracts import Analysis, Clip, Decoder, Featurizer, Network, Scores, Windows


class Engine:
    """Decoder, featurizer and network, working on many files at once. An async context manager; the decoder is the caller's."""

    def __init__(
        self,
        decoder: Decoder,
        featurizer: Featurizer,
        network: Network,
        *,
        batch_windows: int,
        feature_threads: int,
    ) -> None:
        self._decoder = decoder
        self._featurizer = featurizer
        self._batcher = MicroBatcher(network, batch_windows=batch_windows)
        self._threads = ThreadPoolExecutor(feature_threads, thread_name_prefix="features")

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def start(self) -> None:
        self._batcher.start()

    async def close(self) -> None:
        """Finish what is running, then stop the threads."""
        await self._batcher.close()
        self._threads.shutdown()

    @property
    def state(self) -> BatcherState:
        return self._batcher.state

    async def analyse(self, content: bytes) -> Analysis:
        """Decode the beginning of a file and classify it.

        Raises:
            AnalysisFailed: the file can't be decoded.
            BatcherClosed: the engine is stopping.
        """
        started = time.perf_counter()
        clip = await self._decoder.decode(content)
        decode_ms = 1_000 * (time.perf_counter() - started)
        self._batcher.ensure_open()  # the threads end after it
        windows, features_ms = await asyncio.get_running_loop().run_in_executor(self._threads, self._features, clip)
        scores = await self._batcher.score(windows.pictures)
        return Analysis(
            clip=clip,
            windows=_judged(windows, scores),
            analysed_seconds=windows.analysed_seconds,
            spectrogram_png=windows.spectrogram_png,
            decode_ms=decode_ms,
            features_ms=features_ms,
            forward_ms=scores.forward_ms,
        )

    def _features(self, clip: Clip) -> tuple[Windows, float]:
        started = time.perf_counter()
        windows = self._featurizer.windows(clip)
        return windows, 1_000 * (time.perf_counter() - started)


def _judged(windows: Windows, scores: Scores) -> list[Window]:
    rows = np.clip(scores.probabilities, 0, 1).tolist()
    return [Window(start_s, end_s, row) for (start_s, end_s), row in zip(windows.spans_s, rows, strict=True)]
