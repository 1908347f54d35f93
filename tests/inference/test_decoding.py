"""Decoder processes: real ones, really killed."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import uvloop

from app.cli.bench.timing import process_memory_bytes
from app.domain.failures import AnalysisFailed, FailureCode
from app.inference.decoding import DecoderClosedError, SandboxedDecoder
from app.inference.sandbox import ENVIRONMENT
from tests.support.sounds import chords, encode, stereo

SOUND = encode(stereo(chords(2)), 44_100, "flac")


@pytest.fixture
async def decoder():
    decoder = SandboxedDecoder(processes=1, timeout_s=30)
    await decoder.start()
    yield decoder
    await decoder.close()


def stop(decoder):
    """Freeze the decoder's process, so that whatever is asked of it next stays unanswered."""
    (pid,) = decoder.process_ids
    os.kill(pid, signal.SIGSTOP)
    return pid


def is_gone(pid):
    return not Path(f"/proc/{pid}").exists() or "\nState:\tZ" in Path(f"/proc/{pid}/status").read_text()


def holds_a_file(pid):
    memories = (path for path in Path(f"/proc/{pid}/fd").iterdir() if "earmark-content" in str(path.readlink()))
    return any(path.stat().st_size for path in memories)


async def until_asked(pid):
    """One turn of the loop takes a caller to where it waits for the answer."""
    await asyncio.sleep(0)
    assert holds_a_file(pid)


def open_descriptors():
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def _memory_bytes(decoder):
    return [process_memory_bytes(pid) for pid in decoder.process_ids]


async def test_the_process_used_last_goes_first_and_the_others_give_back_their_memory():
    decoder = SandboxedDecoder(processes=2, timeout_s=30)
    await decoder.start()
    long = encode(stereo(chords(40)), 44_100, "flac")
    try:
        await asyncio.gather(decoder.decode(long), decoder.decode(long))
        full_bytes = _memory_bytes(decoder)
        async with asyncio.timeout(20):
            while any(now > full - 10e6 for now, full in zip(_memory_bytes(decoder), full_bytes, strict=True)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        at_rest_bytes = _memory_bytes(decoder)
        for _ in range(3):
            await decoder.decode(long)
        grown = [now > rest + 5e6 for now, rest in zip(_memory_bytes(decoder), at_rest_bytes, strict=True)]
        assert sum(grown) == 1
    finally:
        await decoder.close()


def limits_of(pid):
    lines = Path(f"/proc/{pid}/limits").read_text().splitlines()[1:]
    return {line[:26].strip(): line[26:].split()[0] for line in lines}


def wait_until_dead(pid):
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def environment_of(pid):
    return [entry.split("=")[0] for entry in Path(f"/proc/{pid}/environ").read_text().split("\0")]


def failure_of(excinfo):
    return excinfo.value.failure.code


async def assert_works(decoder):
    clip = await decoder.decode(SOUND)
    assert clip.samples.shape == (44_100,)
    assert np.abs(clip.samples).max() > 0.1


async def test_clip_carries_what_the_file_says(decoder):
    content = encode(
        stereo(chords(33)), 44_100, "mp3", "-f", "mp3", "-metadata", "title=Über\tSee", "-metadata", "artist=四月"
    )
    clip = await decoder.decode(content)
    assert clip.samples.dtype == np.float32
    assert clip.samples.shape == (661_500,)
    assert clip.duration_s == pytest.approx(33, abs=0.1)
    assert (clip.sample_rate_hz, clip.channels) == (44_100, 2)
    assert (clip.title, clip.artist, clip.audible) == ("Über See", "四月", True)


async def test_files_wait_for_a_free_process_and_keep_their_own_samples(decoder):
    kinds = [encode(chords(1, seed=seed), 44_100, "wav") for seed in range(6)]
    alone = [(await decoder.decode(content)).samples for content in kinds]
    together = [clip.samples for clip in await asyncio.gather(*(decoder.decode(content) for content in kinds))]
    assert all(np.array_equal(a, b) for a, b in zip(alone, together, strict=True))


async def test_refusal_names_the_reason_and_keeps_the_process(decoder):
    before = decoder.process_ids
    with pytest.raises(AnalysisFailed) as excinfo:
        await decoder.decode(encode(chords(0.3), 44_100, "wav"))
    assert failure_of(excinfo) == FailureCode.AUDIO_TOO_SHORT
    assert excinfo.value.failure.params == {"duration_s": 0.3, "minimum_s": 0.5}
    assert decoder.process_ids == before
    await assert_works(decoder)


@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT])
async def test_crash_fails_one_file_only(decoder, number):
    pid = stop(decoder)
    asked = asyncio.create_task(decoder.decode(SOUND))
    waiting = asyncio.create_task(decoder.decode(SOUND))
    await until_asked(pid)
    os.kill(pid, number)
    os.kill(pid, signal.SIGCONT)
    with pytest.raises(AnalysisFailed) as excinfo:
        await asked
    assert failure_of(excinfo) == FailureCode.DECODE_CRASHED
    assert f"-{int(number)}" in str(excinfo.value.__cause__)
    assert (await waiting).samples.shape == (44_100,)
    assert decoder.process_ids != [pid]


async def test_timeout_fails_one_file_only():
    decoder = SandboxedDecoder(processes=1, timeout_s=0.5)
    await decoder.start()
    pid = stop(decoder)
    with pytest.raises(AnalysisFailed) as excinfo:
        await decoder.decode(SOUND)
    assert failure_of(excinfo) == FailureCode.DECODE_TIMEOUT
    assert excinfo.value.failure.params == {"limit_s": 0.5}
    assert is_gone(pid)
    await assert_works(decoder)
    await decoder.close()


async def test_cancelled_caller_leaves_a_working_decoder(decoder):
    pid = stop(decoder)
    task = asyncio.create_task(decoder.decode(SOUND))
    await until_asked(pid)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert is_gone(pid)
    await assert_works(decoder)


async def test_caller_cancelled_while_waiting_costs_nothing(decoder):
    await assert_works(decoder)
    before = decoder.process_ids
    pid = stop(decoder)
    first, second = (asyncio.create_task(decoder.decode(SOUND)) for _ in range(2))
    await until_asked(pid)
    second.cancel()
    os.kill(pid, signal.SIGCONT)
    await first
    with pytest.raises(asyncio.CancelledError):
        await second
    assert decoder.process_ids == before


async def test_process_killed_while_idle_costs_no_file(decoder):
    (pid,) = decoder.process_ids
    os.kill(pid, signal.SIGKILL)
    wait_until_dead(pid)
    await assert_works(decoder)


async def test_close_ends_everything_and_answers_everyone():
    descriptors = open_descriptors()
    decoder = SandboxedDecoder(processes=2, timeout_s=30)
    await decoder.start()
    pids = decoder.process_ids
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    tasks = [asyncio.create_task(decoder.decode(SOUND)) for _ in range(3)]
    for pid in pids:
        await until_asked(pid)
    await decoder.close()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [DecoderClosedError] * 3
    assert all(is_gone(pid) for pid in pids)
    assert open_descriptors() == descriptors
    with pytest.raises(DecoderClosedError):
        await decoder.decode(SOUND)
    await decoder.close()


async def test_process_can_do_little(decoder):
    (pid,) = decoder.process_ids
    limits = limits_of(pid)
    assert int(limits["Max address space"]) <= 2 * 1024**3
    assert limits["Max file size"] == limits["Max core file size"] == "0"
    assert int(limits["Max open files"]) <= 32
    assert sorted(name for name in environment_of(pid) if name) == sorted(ENVIRONMENT)


def test_process_loads_no_torch():
    program = "import sys, app.inference.decoder_process; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


async def test_cpu_time_is_limited_for_each_file_not_for_all(decoder):
    (pid,) = decoder.process_ids
    for _ in range(3):
        await decoder.decode(SOUND)
    assert 31 <= int(limits_of(pid)["Max cpu time"]) <= 40


def test_processes_end_with_their_parent():
    program = """
import asyncio, sys
from app.inference.decoding import SandboxedDecoder

async def main():
    decoder = SandboxedDecoder(processes=2, timeout_s=30)
    await decoder.start()
    print(*decoder.process_ids, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        pids = [int(word) for word in parent.stdout.readline().split()]
        handles = [os.pidfd_open(pid) for pid in pids]
        parent.kill()
    assert len(pids) == 2
    for pid, handle in zip(pids, handles, strict=True):
        ended, _, _ = select.select([handle], [], [], 30)
        os.close(handle)
        assert ended
        assert is_gone(pid)


def test_works_on_uvloop_as_well():
    async def main():
        decoder = SandboxedDecoder(processes=1, timeout_s=0.5)
        await decoder.start()
        await assert_works(decoder)
        stop(decoder)
        with pytest.raises(AnalysisFailed):
            await decoder.decode(SOUND)
        await assert_works(decoder)
        await decoder.close()

    uvloop.run(main())
