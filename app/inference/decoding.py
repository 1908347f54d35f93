"""Decode files in processes of their own, so that a poisoned file takes nothing along but its own job.

Each process has two pieces of anonymous shared memory, one for the file's content and one for the samples. They have no
name, so nothing is ever left behind, whoever is killed. A process that took too long, crashed or whose caller went away in
the middle is killed and replaced; all others are used again.
"""

from __future__ import annotations

import asyncio
import math
import mmap
import os

import structlog

from app.domain.failures import AnalysisFailed, FailureCode
from app.inference import decoder_messages as messages
from app.inference.contracts import Clip
from app.inference.sandbox import ProcessDied, Sandbox, clip_of
from app.metrics import DECODER_RESTARTS

_log = structlog.get_logger(__name__)
_MODULE = "app.inference.decoder_process"


class DecoderClosedError(Exception):
    """The decoder was closed while this file waited or was decoded."""


class _Process:
    """One decoder process and the memory shared with it."""

    def __init__(self, cpu_limit_s: int) -> None:
        self._cpu_limit_s = cpu_limit_s
        self._content_fd = os.memfd_create("earmark-content")
        self._samples_fd = os.memfd_create("earmark-samples")
        os.ftruncate(self._samples_fd, messages.SAMPLES_BYTES)
        self._samples = mmap.mmap(self._samples_fd, messages.SAMPLES_BYTES, prot=mmap.PROT_READ)
        self._sandbox = self._start()

    def _start(self) -> Sandbox:
        return Sandbox(_MODULE, (self._content_fd, self._samples_fd), cpu_limit_s=self._cpu_limit_s)

    @property
    def pid(self) -> int:
        return self._sandbox.pid

    @property
    def missing(self) -> list[str]:
        return self._sandbox.missing

    async def wait_ready(self) -> None:
        """Wait until the process can take a file; one that died while nobody looked is replaced first."""
        if not self._sandbox.runs:
            self.restart()
        await self._sandbox.wait_ready()

    async def ask(self, content: bytes) -> messages.Message:
        self._write(content)
        reply = await self._sandbox.ask()
        os.ftruncate(self._content_fd, 0)
        return reply

    def _write(self, content: bytes) -> None:
        os.ftruncate(self._content_fd, 0)
        written = 0
        while written < len(content):
            written += os.pwrite(self._content_fd, memoryview(content)[written:], written)

    def clip(self, reply: messages.Message) -> Clip:
        return clip_of(reply, self._samples)

    def kill(self) -> None:
        self._sandbox.kill()

    def restart(self) -> None:
        self._sandbox.release()
        self._sandbox = self._start()

    def release(self) -> None:
        """Kill the process and give everything back."""
        self._sandbox.release()
        self._samples.close()
        os.close(self._content_fd)
        os.close(self._samples_fd)


class SandboxedDecoder:
    """Implements ``contracts.Decoder`` with a fixed number of decoder processes. Belongs to one event loop.

    Args:
        processes: how many files are decoded at once; more wait.
        timeout_s: wall-clock time one file may take.
    """

    def __init__(self, *, processes: int, timeout_s: float) -> None:
        self._count = processes
        self._timeout_s = timeout_s
        self._processes: list[_Process] = []
        # The one used last comes first: it has memory for a file, which others have given back.
        self._idle: asyncio.LifoQueue[_Process] = asyncio.LifoQueue()
        self._closed = False

    async def start(self) -> None:
        """Start the processes and wait until they can work.

        Raises:
            RuntimeError: a decoder process can't be started; the reason is on its standard error.
        """
        for _ in range(self._count):
            self._processes.append(_Process(cpu_limit_s=math.ceil(self._timeout_s) + 1))
            self._idle.put_nowait(self._processes[-1])
        try:
            for process in self._processes:
                await process.wait_ready()
        except (ProcessDied, TimeoutError) as error:
            await self.close()
            raise RuntimeError("The decoder processes do not start") from error
        if missing := self._processes[0].missing:
            _log.warning("decoder processes are less isolated than they could be", missing=missing)

    @property
    def at_once(self) -> int:
        return self._count

    @property
    def process_ids(self) -> list[int]:
        return [process.pid for process in self._processes]

    async def decode(self, content: bytes) -> Clip:
        """Decode, mix to mono and resample the first 30 s.

        Raises:
            AnalysisFailed: the file can't be decoded; says why.
            DecoderClosedError: ``close`` was called meanwhile.
        """
        if self._closed:
            raise DecoderClosedError
        process = await self._idle.get()
        usable = False
        try:
            reply = await self._exchange(process, content)
            usable = True
            return process.clip(reply)
        finally:
            try:
                if not usable and not self._closed:
                    DECODER_RESTARTS.inc()
                    process.restart()
            finally:
                self._idle.put_nowait(process)

    async def _exchange(self, process: _Process, content: bytes) -> messages.Message:
        try:
            if not self._closed:
                await process.wait_ready()
                async with asyncio.timeout(self._timeout_s):
                    return await process.ask(content)
        except TimeoutError:
            raise AnalysisFailed(FailureCode.DECODE_TIMEOUT, limit_s=self._timeout_s) from None
        except ProcessDied as error:
            if not self._closed:
                raise AnalysisFailed(FailureCode.DECODE_CRASHED) from error
        raise DecoderClosedError

    async def close(self) -> None:
        """Kill all processes and wait until every caller has its answer."""
        if self._closed:
            return
        self._closed = True
        for process in self._processes:
            process.kill()
        for _ in self._processes:
            (await self._idle.get()).release()
        self._processes.clear()
