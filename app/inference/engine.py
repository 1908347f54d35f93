"""The engine: from a file to its genre probabilities."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from app.inference.batching import BatcherState, MicroBatcher
from app.inference.contracts import (
    Analysis,
    Clip,
    Decoder,
    Featurizer,
    Heard,
    LongDecoder,
    Network,
    Scores,
    Stretch,
    Windows,
)
from app.inference.device import compute_with
from app.inference.lanes import Slots
from app.inference.whole import WholeRecording, judged

# Brings a file's content, once there is room for it.
Fetch = Callable[[], Awaitable[bytes]]
# Told after each stretch of a long recording how far it has got, from 0 to 1 or None if that can't be known.
Report = Callable[[float | None], Awaitable[None]]

# Of each process that decodes, so many files are in memory: one that it reads and the next one.
_FILES_A_DECODER = 2


class Engine:
    """Decoder, featurizer and network, working on many files at once. An async context manager; the decoders are the caller's.

    Args:
        batch_windows: most windows in one forward pass.
        feature_threads: how many clips are transformed at once, a thread each; one that is alone may have them all.
        long_decoder: for whole recordings, if there shall be any.
    """

    def __init__(
        self,
        decoder: Decoder,
        featurizer: Featurizer,
        network: Network,
        *,
        batch_windows: int,
        feature_threads: int,
        long_decoder: LongDecoder | None = None,
    ) -> None:
        self._decoder = decoder
        self._long_decoder = long_decoder
        self._featurizer = featurizer
        self._batcher = MicroBatcher(network, batch_windows=batch_windows)
        self._threads = ThreadPoolExecutor(feature_threads, thread_name_prefix="features")
        self._fetching = Slots(_FILES_A_DECODER * decoder.at_once)
        self._decoding = Slots(decoder.at_once)
        self._featurizing = Slots(feature_threads)
        self._feature_threads = feature_threads
        self._at_work = 0

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

    async def analyse(self, fetch: Fetch, *, urgent: bool = True) -> Analysis:
        """Decode the beginning of a file and classify it. What is ``urgent`` passes what is not, at every stage.

        What is not needed any more is not kept while the next stage is waited for: neither the file nor the samples.

        Raises:
            AnalysisFailed: the file can't be decoded.
            BatcherClosed: the engine is stopping.
            Exception: what ``fetch`` raises.
        """
        with self._working():
            clip, decode_ms = await self._decode(fetch, urgent=urgent)
            windows, features_ms = await self._draw(clip, urgent=urgent)
            clip = replace(clip, samples=np.empty(0, np.float32))
            scores = await self._batcher.score(windows.pictures, urgent=urgent)
        return Analysis(
            clip=clip,
            windows=judged(windows.spans_s, scores.probabilities),
            analysed_seconds=windows.analysed_seconds,
            spectrogram_png=windows.spectrogram_png,
            decode_ms=decode_ms,
            features_ms=features_ms,
            forward_ms=scores.forward_ms,
            pictures=windows.pictures,
        )

    async def _decode(self, fetch: Fetch, *, urgent: bool) -> tuple[Clip, float]:
        """The clip, and how long its decoding took in ms."""
        async with self._fetching.one(urgent=urgent):
            content = await fetch()
            async with self._decoding.one(urgent=urgent):
                started = time.perf_counter()
                clip = await self._decoder.decode(content)
                return clip, 1_000 * (time.perf_counter() - started)

    async def analyse_whole(self, recording_fd: int, report: Report) -> Analysis:
        """Decode all of a file and classify it, a stretch of 30 s at a time; nothing in it is urgent.

        Raises:
            AnalysisFailed: the file can't be decoded.
            BatcherClosed: the engine is stopping.
        """
        if self._long_decoder is None:
            raise RuntimeError("this engine was given no decoder for whole recordings")
        whole = WholeRecording()
        with self._working():
            async with (
                self._long_decoder.open(recording_fd) as stretches,
                aclosing(self._one_ahead(stretches)) as ahead,
            ):
                async for stretch, decode_ms in ahead:
                    whole.add(stretch, await self._hear(stretch.clip, urgent=False), decode_ms)
                    await report(stretch.progress)
        return whole.analysis()

    async def score(self, pictures: NDArray[np.uint8]) -> Scores:
        """Probabilities of windows that somebody has drawn already."""
        return await self._batcher.score(pictures, urgent=False)

    async def _one_ahead(self, stretches: AsyncIterator[Stretch]) -> AsyncGenerator[tuple[Stretch, float]]:
        """Each stretch and its decoding time in ms; while one is worked on, the next is decoded."""
        decoding = asyncio.create_task(self._next(stretches))
        try:
            last = False
            while not last:
                stretch, decode_ms = await decoding
                last = stretch.last
                if not last:
                    decoding = asyncio.create_task(self._next(stretches))
                yield stretch, decode_ms
        finally:
            decoding.cancel()
            await asyncio.gather(decoding, return_exceptions=True)

    async def _next(self, stretches: AsyncIterator[Stretch]) -> tuple[Stretch, float]:
        async with self._decoding.one(urgent=False):
            started = time.perf_counter()
            stretch = await anext(stretches)
            return stretch, 1_000 * (time.perf_counter() - started)

    async def _hear(self, clip: Clip, *, urgent: bool) -> Heard:
        """Draw a clip's windows and classify them."""
        windows, features_ms = await self._draw(clip, urgent=urgent)
        return Heard(windows, await self._batcher.score(windows.pictures, urgent=urgent), features_ms)

    async def _draw(self, clip: Clip, *, urgent: bool) -> tuple[Windows, float]:
        """A clip's windows, and how long their drawing took in ms."""
        self._batcher.ensure_open()  # the threads end after it
        async with self._featurizing.one(urgent=urgent):
            threads = self._feature_threads if self._at_work == 1 else 1
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._features, clip, threads)

    @contextmanager
    def _working(self) -> Iterator[None]:
        """Counts the files that are being analysed."""
        self._at_work += 1
        try:
            yield
        finally:
            self._at_work -= 1

    def _features(self, clip: Clip, threads: int) -> tuple[Windows, float]:
        compute_with(threads)
        started = time.perf_counter()
        windows = self._featurizer.windows(clip)
        return windows, 1_000 * (time.perf_counter() - started)
