"""Damaged files of every container, through the real decoder processes: heard, or refused with a reason; nothing dies of one."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from app.domain.failures import AnalysisFailed, FailureCode
from app.inference.contracts import Clip
from app.inference.decoding import SandboxedDecoder
from app.inference.long_decoding import SandboxedLongDecoder
from tests.support.mutations import CONTAINERS, mutated, originals

# What once crashed a decoder process, or broke our code in it: container and seed.
ONCE_CRASHED = [
    ("wav", 11),  # a codec number that nobody knows
]
SHORT, LONG = 50, 1_000
FAULTS = {FailureCode.DECODE_CRASHED, FailureCode.DECODE_TIMEOUT}
# A decoder process holds that much when it has done nothing yet, and a clip of 30 s a few times.
MEMORY_LIMIT_BYTES = 300_000_000
PROCESSES = 2


@pytest.fixture(scope="module")
def files() -> dict[str, bytes]:
    return originals()


@pytest.fixture
async def decoder() -> AsyncIterator[SandboxedDecoder]:
    decoder = SandboxedDecoder(processes=PROCESSES, timeout_s=20)
    await decoder.start()
    yield decoder
    await decoder.close()


def assert_sane(clip: Clip) -> None:
    assert 11_025 <= len(clip.samples) <= 661_500
    assert np.isfinite(clip.samples).all()
    assert 0.5 <= clip.duration_s <= 24 * 3600
    assert 1 <= clip.channels <= 8
    assert 8_000 <= clip.sample_rate_hz <= 192_000


def peak_memory_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123
        (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


async def outcomes(decoder: SandboxedDecoder, content: bytes, seeds: Sequence[int]) -> dict[int, str]:
    """What became of each mutation: "heard", or the code of the refusal."""
    found = {}
    waiting = iter(seeds)

    async def take() -> None:
        for seed in waiting:
            try:
                assert_sane(await decoder.decode(mutated(content, seed)))
                found[seed] = "heard"
            except AnalysisFailed as error:
                found[seed] = error.failure.code

    await asyncio.gather(*(take() for _ in range(PROCESSES)))
    return found


async def assert_nothing_dies(decoder: SandboxedDecoder, content: bytes, seeds: Sequence[int]) -> None:
    before = decoder.process_ids
    found = await outcomes(decoder, content, seeds)
    assert {seed: outcome for seed, outcome in found.items() if outcome in FAULTS} == {}
    assert decoder.process_ids == before
    assert len(found) == len(seeds)
    counts = Counter(found.values())
    assert counts["heard"] > 0, "nothing but refusals tests no decoder"
    assert counts["heard"] < len(seeds), "nothing but sound tests no damage"
    assert max(map(peak_memory_bytes, decoder.process_ids)) < MEMORY_LIMIT_BYTES


@pytest.mark.parametrize("container", CONTAINERS)
async def test_a_damaged_file_is_heard_or_refused(decoder, files, container: str):
    await assert_nothing_dies(decoder, files[container], range(SHORT))


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("container", CONTAINERS)
async def test_many_damaged_files_are_heard_or_refused(decoder, files, container: str):
    await assert_nothing_dies(decoder, files[container], range(SHORT, SHORT + LONG))


@pytest.mark.parametrize(("container", "seed"), ONCE_CRASHED)
async def test_what_once_crashed_a_decoder_is_refused(decoder, files, container: str, seed: int):
    with pytest.raises(AnalysisFailed) as excinfo:
        await decoder.decode(mutated(files[container], seed))
    assert excinfo.value.failure.code == FailureCode.AUDIO_CORRUPT


async def heard_of_whole(content: bytes) -> FailureCode | None:
    """The same file as a whole recording, which another program reads, from a file with a name as workers keep them."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(content)
        file.flush()
        descriptor = os.open(file.name, os.O_RDONLY)
        try:
            async with SandboxedLongDecoder(timeout_s=20).open(descriptor) as stretches:
                async for stretch in stretches:
                    assert_sane(stretch.clip)
        except AnalysisFailed as error:
            return error.failure.code
        finally:
            os.close(descriptor)
    return None


@pytest.mark.parametrize("container", CONTAINERS)
async def test_an_undamaged_file_is_heard_as_a_whole(files, container: str):
    assert await heard_of_whole(files[container]) is None


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("container", CONTAINERS)
async def test_many_damaged_recordings_are_heard_as_a_whole_or_refused(files, container: str):
    found = {seed: await heard_of_whole(mutated(files[container], seed)) for seed in range(30)}
    assert {seed: code for seed, code in found.items() if code in FAULTS} == {}
    assert set(found.values()) > {None}
