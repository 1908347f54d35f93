"""Processes of our own that read what strangers made: started with no secrets, watched, and killed without regret."""

from __future__ import annotations

import asyncio
import mmap
import os
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np

import app
from app.domain.failures import AnalysisFailed, FailureCode
from app.inference import decoder_messages as messages
from app.inference.contracts import Clip

_START_TIMEOUT_S = 60
# None of our secrets; and a process that keeps the memory of one file for the next saves an eighth of its time.
ENVIRONMENT = {
    "PYTHONPATH": str(Path(app.__file__).parent.parent),
    "OPENBLAS_NUM_THREADS": "1",
    "MALLOC_MMAP_THRESHOLD_": str(1 << 30),
    "MALLOC_TRIM_THRESHOLD_": str(1 << 30),
}


class ProcessDied(Exception):
    """The process ended instead of answering; says how."""


def clip_of(reply: messages.Message, samples: mmap.mmap) -> Clip:
    """The clip that a decoder process answered with, its samples copied out of the shared memory.

    Raises:
        AnalysisFailed: it answered with something else.
    """
    match reply:
        case messages.Decoded():
            return Clip(
                samples=np.frombuffer(samples, np.float32, reply.sample_count).copy(),
                duration_s=reply.duration_s,
                sample_rate_hz=reply.sample_rate_hz,
                channels=reply.channels,
                title=reply.title,
                artist=reply.artist,
                audible=reply.audible,
            )
        case messages.Refused(code, params):
            raise AnalysisFailed(code, **params)
        case messages.Broke(reason):
            raise AnalysisFailed(FailureCode.DECODE_CRASHED) from ProcessDied(reason)
        case messages.Ready():
            raise AnalysisFailed(FailureCode.DECODE_CRASHED) from ProcessDied("it answered out of turn")


class Sandbox:
    """A running process of one of our modules, and the channel to it. Belongs to one event loop.

    The module calls ``sandboxed.serve``. It gets as arguments: its end of the channel, the ``descriptors`` it shall inherit,
    the CPU time in seconds that one answer may take, and this process's id. It sends ``Ready`` once it can work.

    ``missing``: the layers of isolation that this kernel does not offer it; known once it is ready.
    """

    def __init__(self, module: str, descriptors: Sequence[int], *, cpu_limit_s: int) -> None:
        self._ready = False
        self.missing: list[str] = []
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._channel.setblocking(False)
        inherited = (theirs.fileno(), *descriptors)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", module, *map(str, [*inherited, cpu_limit_s, os.getpid()])],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                pass_fds=inherited,
                env=ENVIRONMENT,
                start_new_session=True,  # Ctrl-C is the worker's to handle: it drains first
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def runs(self) -> bool:
        return self._process.poll() is None

    async def wait_ready(self) -> None:
        """Raises ProcessDied or TimeoutError if it does not start."""
        if not self._ready:
            async with asyncio.timeout(_START_TIMEOUT_S):
                reply = await self._receive()
            self._ready = True
            self.missing = reply.missing if isinstance(reply, messages.Ready) else []

    async def ask(self) -> messages.Message:
        """Have it do its work once more.

        Raises:
            ProcessDied: it ended instead of answering.
        """
        try:
            await asyncio.get_running_loop().sock_sendall(self._channel, messages.ASK)
        except OSError as error:
            raise self._died() from error
        return await self._receive()

    async def _receive(self) -> messages.Message:
        try:
            packet = await asyncio.get_running_loop().sock_recv(self._channel, messages.MESSAGE_LIMIT_BYTES)
            message: messages.Message = messages.decode(packet)
        except (OSError, msgspec.DecodeError) as error:  # nothing at all is the end of the channel
            raise self._died() from error
        return message

    def _died(self) -> ProcessDied:
        self._process.kill()
        return ProcessDied(f"the process ended with {self._process.wait()}")

    def kill(self) -> None:
        self._process.kill()
        self._process.wait()

    def release(self) -> None:
        """Kill the process and close the channel."""
        self.kill()
        self._channel.close()
