"""The inside of a sandbox: gives up what it does not need, then answers until the channel closes."""

from __future__ import annotations

import ctypes
import mmap
import os
import select
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from app.domain.failures import AnalysisFailed
from app.inference import decoder_messages as messages
from app.inference.contracts import Clip, Stretch
from app.inference.isolation import isolate, limit_cpu
from app.inference.memory import give_back

_PR_SET_PDEATHSIG = 1
_REASON_LIMIT = 2_000
_KEEP_S = 1.0

# Gives the next of what is asked for.
Work: TypeAlias = Callable[[], Clip | Stretch]


def die_with_parent(parent_id: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_id:  # it ended before we asked
        sys.exit(1)


def _silence() -> None:
    """The libraries print what they think of a damaged file; the worker says it in its own words."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def serve(work_on: Callable[[str], Work]) -> None:
    """Be the process that ``sandbox.Sandbox`` has started, with two files: the recording and the memory for the samples.

    ``work_on`` gets the path of the recording, once.
    """
    channel_fd, recording_fd, samples_fd, cpu_limit_s, parent_id = map(int, sys.argv[1:])
    die_with_parent(parent_id)
    _silence()
    memory = np.frombuffer(mmap.mmap(samples_fd, messages.SAMPLES_BYTES), np.float32)
    work = work_on(f"/proc/self/fd/{recording_fd}")
    with socket.socket(fileno=channel_fd) as channel:
        news = select.poll()
        news.register(channel, select.POLLIN)
        missing = isolate([recording_fd])
        channel.send(messages.encode(messages.Ready(missing)))
        while _asked(channel, news):
            limit_cpu(cpu_limit_s)
            channel.send(messages.encode(_answer(work, memory)))


def _asked(channel: socket.socket, news: select.poll) -> bool:
    """Wait for an order; False if there will be none. Whoever waits long gives back the memory kept for the next file."""
    if not news.poll(1_000 * _KEEP_S):
        give_back()
    return bool(channel.recv(len(messages.ASK)))


def _answer(work: Work, memory: NDArray[np.float32]) -> messages.Message:
    try:
        heard = work()
    except AnalysisFailed as error:
        return messages.Refused(error.failure.code, error.failure.params)
    except Exception:  # noqa: BLE001  the worker is told and logs it
        return messages.Broke(traceback.format_exc()[-_REASON_LIMIT:])
    clip = heard.clip if isinstance(heard, Stretch) else heard
    memory[: len(clip.samples)] = clip.samples
    return messages.continued(heard) if isinstance(heard, Stretch) else messages.decoded(heard)
