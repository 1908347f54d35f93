"""A decoder process: it reads files that strangers made, so it can do little else and dies alone.

Started by ``app.inference.decoding`` with four inherited file descriptors' worth of arguments: the channel, the memory
that holds the file's content, the memory for the samples; then the CPU time one file may take and the parent's id.
"""

from __future__ import annotations

import ctypes
import math
import mmap
import os
import resource
import signal
import socket
import sys
import time
import traceback

import numpy as np
from numpy.typing import NDArray

from app.domain.failures import AnalysisFailed
from app.inference import decoder_messages as messages
from app.inference.audio import decode_file

# 30 s of the widest recording we take (8 channels at 192 kHz) are 184 MB as float32, and are copied twice at most.
_ADDRESS_SPACE_BYTES = 2 * 1024**3
_OPEN_FILES = 32
_PR_SET_PDEATHSIG = 1
REASON_LIMIT = 2_000


def die_with_parent(parent_id: int) -> None:
    """Have the kernel kill this process when its parent ends, however that ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_id:  # it ended before we asked
        sys.exit(1)


def limit_resources() -> None:
    """No big memory, no writing to files, no core dumps."""
    resource.setrlimit(resource.RLIMIT_AS, (_ADDRESS_SPACE_BYTES, _ADDRESS_SPACE_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (_OPEN_FILES, _OPEN_FILES))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_cpu(seconds: int) -> None:
    """Allow that much CPU time from now on; the kernel ends the process beyond it."""
    used_s = math.ceil(time.process_time())
    resource.setrlimit(resource.RLIMIT_CPU, (used_s + seconds, resource.RLIM_INFINITY))


def silence() -> None:
    """The libraries print what they think of a damaged file; the worker says it in its own words."""
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def answer(content_path: str, memory: NDArray[np.float32]) -> messages.Message:
    try:
        clip = decode_file(content_path)
    except AnalysisFailed as error:
        return messages.Refused(error.failure.code, error.failure.params)
    except Exception:  # noqa: BLE001  the worker is told and logs it
        return messages.Broke(traceback.format_exc()[-REASON_LIMIT:])
    memory[: len(clip.samples)] = clip.samples
    return messages.Decoded(
        sample_count=len(clip.samples),
        duration_s=clip.duration_s,
        sample_rate_hz=clip.sample_rate_hz,
        channels=clip.channels,
        title=clip.title,
        artist=clip.artist,
        audible=clip.audible,
    )


def main() -> None:
    channel_fd, content_fd, samples_fd, cpu_limit_s, parent_id = map(int, sys.argv[1:])
    die_with_parent(parent_id)
    limit_resources()
    silence()
    memory = np.frombuffer(mmap.mmap(samples_fd, messages.SAMPLES_BYTES), np.float32)
    with socket.socket(fileno=channel_fd) as channel:
        channel.send(messages.encode(messages.Ready()))
        while channel.recv(len(messages.ASK)):
            limit_cpu(cpu_limit_s)
            channel.send(messages.encode(answer(f"/proc/self/fd/{content_fd}", memory)))


if __name__ == "__main__":
    main()
