"""Real files are decoded while decoder processes are killed and the network's memory is too small."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.failures import FailureCode
from app.domain.jobs import JobState
from tests.support.families import family_of
from tests.support.service import Service
from tests.support.sounds import encode, melody
from tests.support.under_load import UnderLoad, under_load

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

UPLOADS = 200
RECORDING = encode(melody(3.0), 44_100, "wav")


def recording(number: int) -> bytes:
    """Each is another file."""
    return RECORDING + b"%08d" % number


@pytest.fixture
async def decoding(tmp_path: Path) -> AsyncIterator[UnderLoad]:
    service = Service(tmp_path / "data", loader="tests.support.stand_in_network:open_small_networks")
    async with under_load(service, content=recording) as it:
        yield it


def decoders(service: Service) -> list[int]:
    return [pid for pid, command in family_of(service.run.pid).items() if "decoder_process" in command]


async def test_decoders_are_killed_and_only_what_they_were_at_fails(decoding):
    decoding.load.begin(UPLOADS)
    killed = 0
    for number in range(10):
        await decoding.load.until_accepted(10 + 15 * number)
        for pid in await asyncio.to_thread(decoders, decoding.service):
            os.kill(pid, signal.SIGKILL)
            killed += 1
    assert killed >= 10
    states = await decoding.assert_nothing_lost([FailureCode.DECODE_CRASHED])
    assert states[JobState.FAILED] <= killed


async def test_batches_that_are_too_large_for_the_memory_are_halved(decoding):
    decoding.load.begin(UPLOADS, per_s=50)
    assert await decoding.assert_nothing_lost() == {JobState.DONE: UPLOADS}
    assert '"event":"out_of_memory"' in decoding.service.log
