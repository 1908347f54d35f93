"""Decode whole recordings, each in a process of its own, a stretch at a time: however long one is, memory stays the same."""

from __future__ import annotations

import asyncio
import math
import mmap
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from app.domain.failures import AnalysisFailed, FailureCode
from app.inference import decoder_messages as messages
from app.inference.contracts import Stretch
from app.inference.sandbox import ProcessDied, Sandbox, clip_of

_MODULE = "app.inference.long_decoder_process"


class SandboxedLongDecoder:
    """Implements ``contracts.LongDecoder``. ``timeout_s``: wall-clock time that one stretch may take."""

    def __init__(self, *, timeout_s: float) -> None:
        self._timeout_s = timeout_s

    @asynccontextmanager
    async def open(self, recording_fd: int) -> AsyncIterator[AsyncIterator[Stretch]]:
        """``recording_fd``: an open file with the recording, read from its beginning whatever its position."""
        samples_fd = os.memfd_create("earmark-samples")
        os.ftruncate(samples_fd, messages.SAMPLES_BYTES)
        samples = mmap.mmap(samples_fd, messages.SAMPLES_BYTES, prot=mmap.PROT_READ)
        process = Sandbox(_MODULE, (recording_fd, samples_fd), cpu_limit_s=math.ceil(self._timeout_s) + 1)
        try:
            yield self._stretches(process, samples)
        finally:
            process.release()
            samples.close()
            os.close(samples_fd)

    async def _stretches(self, process: Sandbox, samples: mmap.mmap) -> AsyncIterator[Stretch]:
        last = False
        while not last:
            stretch = _stretch(await self._ask(process), samples)
            last = stretch.last
            yield stretch

    async def _ask(self, process: Sandbox) -> messages.Message:
        try:
            await process.wait_ready()
            async with asyncio.timeout(self._timeout_s):
                return await process.ask()
        except TimeoutError:
            raise AnalysisFailed(FailureCode.DECODE_TIMEOUT, limit_s=self._timeout_s) from None
        except ProcessDied as error:
            raise AnalysisFailed(FailureCode.DECODE_CRASHED) from error


def _stretch(reply: messages.Message, samples: mmap.mmap) -> Stretch:
    clip = clip_of(reply, samples)
    if not isinstance(reply, messages.Continued):
        raise AnalysisFailed(FailureCode.DECODE_CRASHED) from ProcessDied("it answered out of turn")
    return Stretch(clip, reply.start_s, reply.progress, reply.last)
