"""A decoder process for one whole recording: it gives the next stretch each time it is asked.

Started by ``app.inference.long_decoding`` as ``sandbox`` says, with the file and the memory for the samples.
"""

from __future__ import annotations

import mmap
import socket
import sys
import traceback
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.domain.failures import AnalysisFailed
from app.inference import decoder_messages as messages
from app.inference.contracts import Stretch
from app.inference.decoder_process import REASON_LIMIT, die_with_parent, limit_cpu, limit_resources, silence
from app.inference.stretches import read_stretches


def answer(stretches: Iterator[Stretch], memory: NDArray[np.float32]) -> messages.Message:
    try:
        stretch = next(stretches)
    except AnalysisFailed as error:
        return messages.Refused(error.failure.code, error.failure.params)
    except Exception:  # noqa: BLE001  the worker is told and logs it
        return messages.Broke(traceback.format_exc()[-REASON_LIMIT:])
    clip = stretch.clip
    memory[: len(clip.samples)] = clip.samples
    return messages.Continued(
        sample_count=len(clip.samples),
        duration_s=clip.duration_s,
        sample_rate_hz=clip.sample_rate_hz,
        channels=clip.channels,
        title=clip.title,
        artist=clip.artist,
        audible=clip.audible,
        start_s=stretch.start_s,
        progress=stretch.progress,
        last=stretch.last,
    )


def main() -> None:
    channel_fd, recording_fd, samples_fd, cpu_limit_s, parent_id = map(int, sys.argv[1:])
    die_with_parent(parent_id)
    limit_resources()
    silence()
    memory = np.frombuffer(mmap.mmap(samples_fd, messages.SAMPLES_BYTES), np.float32)
    stretches = read_stretches(f"/proc/self/fd/{recording_fd}")
    with socket.socket(fileno=channel_fd) as channel:
        channel.send(messages.encode(messages.Ready()))
        while channel.recv(len(messages.ASK)):
            limit_cpu(cpu_limit_s)
            channel.send(messages.encode(answer(stretches, memory)))


if __name__ == "__main__":
    main()
