"""Whole recordings: read a stretch at a time, heard edge to edge, in memory that does not grow with their length."""

from __future__ import annotations

import asyncio
import io
import os
import signal
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import ExitStack, asynccontextmanager
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.domain.failures import AnalysisFailed, FailureCode
from app.inference.audio import decode_file
from app.inference.batching import BatcherClosed
from app.inference.decoding import SandboxedDecoder
from app.inference.engine import Engine
from app.inference.fake import FakeNetwork
from app.inference.long_decoding import SandboxedLongDecoder
from app.inference.overview import LARGEST_COLUMNS, Overview
from app.inference.picture import FeatureExtractor, spectrogram_png
from app.inference.stretches import ADVANCE_SAMPLES, read_stretches
from tests.support.sounds import at_hand, beats, encode, stereo
from tests.support.waiting import wait_until_gone

RATE_HZ = 22_050


def written(tmp_path, content: bytes) -> str:
    path = tmp_path / "recording"
    path.write_bytes(content)
    return str(path)


@cache
def a_song(seconds: float) -> np.ndarray:
    return stereo(beats(seconds))


# --- stretches


@pytest.mark.parametrize("container", ["flac", "mp3", "webm"])
def test_the_first_stretch_is_what_the_beginning_alone_would_be(tmp_path, container):
    path = written(tmp_path, encode(a_song(40), 44_100, container))
    first, last = read_stretches(path)
    alone = decode_file(path)
    inner = slice(0, len(alone.samples) - 1000)  # the filter sees what follows the 30 s here, and nothing there
    np.testing.assert_allclose(first.clip.samples[inner], alone.samples[inner], atol=3e-6)
    assert (first.clip.sample_rate_hz, first.clip.channels) == (alone.sample_rate_hz, alone.channels)
    assert (first.last, last.last) == (False, True)
    assert last.clip.duration_s == pytest.approx(alone.duration_s, abs=0.1)
    assert (last.start_s, last.progress) == (pytest.approx(last.clip.duration_s - 30, abs=0.01), 1.0)


def test_stretches_overlap_so_that_their_windows_touch(tmp_path):
    path = written(tmp_path, encode(a_song(100), 44_100, "flac"))
    found = list(read_stretches(path))
    starts = [stretch.start_s for stretch in found]
    advance_s = ADVANCE_SAMPLES / RATE_HZ
    assert starts == pytest.approx([0, advance_s, 2 * advance_s, 3 * advance_s, 70])
    assert [stretch.progress for stretch in found] == pytest.approx([(start + 30) / 100 for start in starts])
    for one, next_one in pairwise(found):
        shift = round((next_one.start_s - one.start_s) * RATE_HZ)
        np.testing.assert_array_equal(one.clip.samples[shift:], next_one.clip.samples[: len(one.clip.samples) - shift])


@pytest.mark.parametrize("seconds", [0.6, 12, 29.9, 30])
def test_a_short_recording_is_one_stretch(tmp_path, seconds):
    path = written(tmp_path, encode(a_song(seconds), 44_100, "flac"))
    (only,) = read_stretches(path)
    alone = decode_file(path)
    assert len(only.clip.samples) == pytest.approx(len(alone.samples), abs=1)
    assert (only.last, only.start_s) == (True, 0.0)
    assert only.clip.duration_s == pytest.approx(seconds, abs=0.001)


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"no audio at all" * 100, FailureCode.AUDIO_CORRUPT),
        (encode(a_song(0.2), 44_100, "wav"), FailureCode.AUDIO_TOO_SHORT),
        (encode(np.zeros((0, 1), np.float32), 44_100, "wav"), FailureCode.AUDIO_EMPTY),
        (encode(a_song(2), 44_100, "flac")[:2_000], FailureCode.AUDIO_CORRUPT),
    ],
)
def test_what_is_no_recording_is_refused_with_the_same_words(tmp_path, content, code):
    path = written(tmp_path, content)
    with pytest.raises(AnalysisFailed) as whole:
        list(read_stretches(path))
    with pytest.raises(AnalysisFailed) as start:
        decode_file(path)
    assert whole.value.failure.code == start.value.failure.code == code


def test_damage_in_the_middle_costs_no_more_than_itself(tmp_path):
    content = bytearray(encode(a_song(60), 44_100, "mp3"))
    middle = len(content) // 2
    content[middle : middle + 2_000] = bytes(2_000)
    *_, last = read_stretches(written(tmp_path, bytes(content)))
    assert 58 < last.clip.duration_s < 60.2


def test_memory_does_not_grow_with_the_length(tmp_path):
    def peak_bytes(minutes: int) -> int:
        tone = np.sin(np.arange(minutes * 60 * 8_000) / 20).astype(np.float32)
        path = written(tmp_path, encode(tone, 8_000, "flac"))
        del tone
        tracemalloc.start()
        seconds = sum(len(stretch.clip.samples) for stretch in read_stretches(path)) / RATE_HZ
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert seconds > minutes * 60
        return peak

    assert peak_bytes(12) < 1.1 * peak_bytes(3)


# --- the engine


@pytest.fixture
def opened() -> Iterator[Callable[[bytes], int]]:
    """Gives a descriptor of an open file with that content."""
    with ExitStack() as stack:

        def open_content(content: bytes) -> int:
            file = stack.enter_context(tempfile.TemporaryFile())
            file.write(content)
            file.flush()
            return file.fileno()

        yield open_content


@asynccontextmanager
async def an_engine(*, timeout_s: float = 20):
    decoder = SandboxedDecoder(processes=1, timeout_s=20)
    await decoder.start()
    long_decoder = SandboxedLongDecoder(timeout_s=timeout_s)
    engine = Engine(
        decoder, FeatureExtractor(), FakeNetwork(), batch_windows=8, feature_threads=2, long_decoder=long_decoder
    )
    async with engine:
        yield engine
    await decoder.close()


class Listener:
    """Remembers what it is told."""

    def __init__(self) -> None:
        self.told: list[float | None] = []

    async def tell(self, progress: float | None) -> None:
        self.told.append(progress)


@pytest.mark.parametrize("seconds", [31, 65, 76])
async def test_nothing_stays_unheard_between_the_margins(opened, seconds):
    async with an_engine() as engine:
        windows = (await engine.analyse_whole(opened(encode(a_song(seconds), 44_100, "flac")), Listener().tell)).windows
    hops_s = [other.start_s - one.start_s for one, other in pairwise(windows)]
    assert min(hops_s) > 0.1
    assert max(hops_s) < 11.4, "no window begins after the end of the one before"
    assert windows[0].start_s == pytest.approx(seconds - windows[-1].end_s, abs=0.05), "both margins are the same"


async def test_a_whole_recording_gives_a_timeline_that_begins_as_its_first_30_seconds(opened):
    content = encode(a_song(80), 44_100, "flac")
    listener = Listener()
    async with an_engine() as engine:
        whole = await engine.analyse_whole(opened(content), listener.tell)
        start = await engine.analyse(at_hand(content))
    spans_s = [(window.start_s, window.end_s) for window in whole.windows]
    assert len(spans_s) == 7
    assert all(one[1] == pytest.approx(other[0], abs=0.002) for one, other in pairwise(spans_s[:-1]))
    for window, alone in zip(whole.windows, start.windows, strict=False):
        assert (window.start_s, window.end_s) == pytest.approx((alone.start_s, alone.end_s), abs=0.001)
        np.testing.assert_allclose(window.probabilities, alone.probabilities, atol=1e-5)
    assert (whole.clip.duration_s, whole.analysed_seconds) == (80, 80)
    assert listener.told == sorted(listener.told)
    assert (len(listener.told), listener.told[-1]) == (4, 1.0)
    with Image.open(io.BytesIO(whole.spectrogram_png)) as picture:
        assert picture.size == (pytest.approx(80 * RATE_HZ / 512, abs=2), 336)


async def test_a_recording_without_a_length_in_its_header_is_heard_to_its_end(opened):
    listener = Listener()
    async with an_engine() as engine:
        whole = await engine.analyse_whole(opened(encode(a_song(70), 44_100, "aac")), listener.tell)
    assert whole.clip.duration_s == pytest.approx(70, abs=0.2)
    assert listener.told == [None, None, 1.0]


async def test_a_cancelled_analysis_leaves_no_process_behind(opened):
    heard = asyncio.Event()

    async def tell(progress: float | None) -> None:
        heard.set()
        await asyncio.Event().wait()

    async with an_engine() as engine:
        recording = opened(encode(a_song(70), 44_100, "flac"))
        task = asyncio.create_task(engine.analyse_whole(recording, tell))
        await heard.wait()
        (pid,) = long_decoders()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        await asyncio.to_thread(wait_until_gone, pid)
        assert engine.state.queued_windows == 0
        assert engine.state.alive


def long_decoders() -> list[int]:
    """Our children that decode whole recordings."""
    children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [int(pid) for pid in children if b"long_decoder_process" in Path(f"/proc/{pid}/cmdline").read_bytes()]


async def test_a_file_that_is_none_fails_with_its_reason(opened):
    async with an_engine() as engine:
        recording = opened(b"no audio at all" * 100)
        with pytest.raises(AnalysisFailed) as failed:
            await engine.analyse_whole(recording, Listener().tell)
    assert failed.value.failure.code is FailureCode.AUDIO_CORRUPT


async def test_a_decoder_that_takes_too_long_fails_this_recording(opened):
    async with an_engine(timeout_s=0.001) as engine:
        recording = opened(encode(a_song(40), 44_100, "mp3"))
        with pytest.raises(AnalysisFailed) as slow:
            await engine.analyse_whole(recording, Listener().tell)
    assert slow.value.failure.code is FailureCode.DECODE_TIMEOUT


async def test_a_decoder_that_dies_fails_this_recording(opened):
    async def kill(progress: float | None) -> None:
        for pid in long_decoders():
            os.kill(pid, signal.SIGKILL)

    async with an_engine() as engine:
        recording = opened(encode(a_song(100), 44_100, "flac"))
        with pytest.raises(AnalysisFailed) as killed:
            await engine.analyse_whole(recording, kill)
    assert killed.value.failure.code is FailureCode.DECODE_CRASHED


async def test_a_closed_engine_ends_a_long_analysis(opened):
    async with an_engine() as engine:

        async def close(progress: float | None) -> None:
            await engine.close()

        recording = opened(encode(a_song(70), 44_100, "flac"))
        with pytest.raises(BatcherClosed):
            await engine.analyse_whole(recording, close)


# --- the overview


def test_an_overview_of_hours_stays_small_and_true():
    """A tone that rises once over the whole recording rises once over the picture."""
    overview = Overview()
    frames = 980
    stretch_s = frames * 512 / RATE_HZ
    for number in range(40):
        decibels = np.full((84, frames), -80, np.float32)
        decibels[2 * number] = 0
        overview.add(spectrogram_png(decibels), number * stretch_s, (number + 1) * stretch_s)
    with Image.open(io.BytesIO(overview.png())) as picture:
        levels = np.asarray(picture)[::-4]  # low frequencies first
    assert LARGEST_COLUMNS / 2 < levels.shape[1] <= LARGEST_COLUMNS
    loudest = levels.argmax(axis=0)
    assert (np.diff(loudest) >= 0).all()
    assert (loudest[0], loudest[-1]) == (0, 78)
