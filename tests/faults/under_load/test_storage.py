"""Storage is full, fails or is slow while two hundred uploads come in."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.domain.jobs import JobState
from tests.support.load import restful
from tests.support.processes import free_port, wait_for_port
from tests.support.s3 import BUCKET
from tests.support.service import Service
from tests.support.small_disk import small_disk
from tests.support.under_load import UnderLoad, under_load

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

UPLOADS = 200


def bulky(number: int) -> bytes:
    """Two hundred of these fill a small disk several times."""
    return b"ID3" + bytes(50_000) + restful(number)


class FlakyS3:
    def __init__(self, port: int, process: subprocess.Popen[str]) -> None:
        self.address, self._process = f"http://127.0.0.1:{port}", process

    def be(self, mood: str) -> None:
        """well, failing, slow or full."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{mood}\n")
        self._process.stdin.flush()


@pytest.fixture
def s3() -> Iterator[FlakyS3]:
    port = free_port()
    command = [sys.executable, "-m", "tests.support.flaky_s3", str(port)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, text=True
    )
    try:
        wait_for_port(port)
        server = FlakyS3(port, process)
        urllib.request.urlopen(urllib.request.Request(f"{server.address}/{BUCKET}", method="PUT"), timeout=10).close()
        yield server
    finally:
        process.kill()
        process.communicate()


@asynccontextmanager
async def on_s3(tmp_path: Path, s3: FlakyS3) -> AsyncIterator[UnderLoad]:
    service = Service(
        tmp_path / "data",
        storage_url=f"s3://{BUCKET}",
        storage_endpoint=s3.address,
        storage_access_key_id="key",
        storage_secret_access_key="secret",
    )
    async with under_load(service) as it:
        yield it


@pytest.mark.parametrize("mood", ["failing", "slow"])
async def test_every_third_call_fails_or_is_slow(tmp_path, s3, mood):
    async with on_s3(tmp_path, s3) as busy:
        s3.be(mood)
        busy.load.begin(UPLOADS)
        await busy.load.end()
        await busy.ended()
        s3.be("well")  # the test's own looking is no part of it
        assert await busy.assert_nothing_lost() == {JobState.DONE: UPLOADS}


async def test_a_bucket_is_full_for_a_while(tmp_path, s3):
    async with on_s3(tmp_path, s3) as busy:
        busy.load.begin(UPLOADS)
        await busy.load.until_accepted(50)
        s3.be("full")
        await busy.load.until_answered(503, 10)
        s3.be("well")
        assert await busy.assert_nothing_lost() == {JobState.DONE: UPLOADS}


@pytest.mark.parametrize("folder", ["data/files", "data"])
async def test_a_disk_is_full_for_a_while(tmp_path, folder):
    """The disk of the recordings, and the one of everything: database and queue too."""
    with small_disk(tmp_path / folder, size_bytes=6_000_000) as disk:
        async with under_load(Service(tmp_path / "data"), content=bulky) as busy:
            busy.load.begin(UPLOADS)
            await busy.load.until_answered(503, 20)
            await asyncio.to_thread(disk.grow, 200_000_000)
            assert await busy.assert_nothing_lost() == {JobState.DONE: UPLOADS}
