"""Storage, and the way of an upload into it, on a local folder and on an S3 server."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from app.domain.ids import utc_now
from app.domain.keys import audio_key
from app.domain.media import Container
from app.errors import FileEmpty, TooLarge, Unsupported
from app.integrations.files import CHUNK_BYTES, FileGone, Files, local_files, s3_files
from app.services.uploads import receive_upload
from tests.support.s3 import BUCKET, s3_server

MP3 = b"ID3\x04" + bytes(range(256)) * 100


@pytest.fixture(scope="module")
def s3_address() -> Iterator[str]:
    with s3_server() as address:
        yield address


@pytest.fixture(params=["local", "s3"])
def files(request: pytest.FixtureRequest, tmp_path: Path) -> Files:
    if request.param == "local":
        return local_files(tmp_path / "a folder")
    return s3_files(
        f"s3://{BUCKET}/{uuid.uuid4()}",
        endpoint=request.getfixturevalue("s3_address"),
        region="us-east-1",
        access_key_id="key",
        secret_access_key="secret",
    )


async def _chunks(content: bytes, size: int = 1000) -> AsyncIterator[bytes]:
    for start in range(0, len(content), size):
        yield content[start : start + size]


async def _keys(files: Files) -> list[str]:
    later = utc_now() + timedelta(hours=1)
    return [key async for page in files.keys_older_than("audio", later) for key in page]


async def test_a_file_comes_back_whole_and_in_parts(files: Files):
    await files.put("audio/a", _chunks(MP3))
    assert await files.read("audio/a") == MP3
    assert await files.size_bytes("audio/a") == len(MP3)
    assert b"".join([chunk async for chunk in files.stream("audio/a", 10, 5000)]) == MP3[10:5000]


async def test_a_broken_stream_leaves_nothing(files: Files):
    async def broken() -> AsyncIterator[bytes]:
        yield MP3
        raise ConnectionResetError("client went away")

    with pytest.raises(ConnectionResetError):
        await files.put("audio/a", broken())
    assert await _keys(files) == []


async def test_what_is_not_there(files: Files):
    await files.check()
    await files.delete("audio/none")
    with pytest.raises(FileGone):
        await files.read("audio/none")
    with pytest.raises(FileGone):
        await files.size_bytes("audio/none")
    with pytest.raises(FileGone):
        async for _ in files.stream("audio/none", 0, 1):
            pass


async def test_only_old_keys_are_listed(files: Files):
    await files.put_bytes("audio/a", b"x")
    hour_ago = utc_now() - timedelta(hours=1)
    assert [key async for page in files.keys_older_than("audio", hour_ago) for key in page] == []
    assert await _keys(files) == ["audio/a"]
    await files.delete("audio/a")
    assert await _keys(files) == []


async def test_what_a_killed_process_left_half_written_is_deleted_once_it_is_old(tmp_path: Path):
    folder = tmp_path / "files"
    files = local_files(folder)
    await files.put_bytes("audio/a", b"x")
    half = folder / "audio" / "b#1"  # so the store names what it has not finished
    half.write_bytes(b"x")
    assert await files.delete_unfinished(utc_now() - timedelta(hours=1)) == 0
    assert await files.delete_unfinished(utc_now() + timedelta(hours=1)) == 1
    assert not half.exists()
    assert await files.read("audio/a") == b"x"


def names_in(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


async def test_the_store_names_what_it_has_not_finished_as_we_expect(tmp_path: Path):
    """Else its halves would be left behind for ever."""
    files = local_files(tmp_path)
    found: list[str] = []

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(8):  # more than the store keeps in memory
            yield bytes(CHUNK_BYTES)
        found.extend(names_in(tmp_path / "audio"))

    await files.put("audio/a", chunks())
    assert found == ["a#1"]
    assert names_in(tmp_path / "audio") == ["a"]


async def test_an_upload_is_hashed_sized_and_sniffed(files: Files):
    upload = await receive_upload(files, _chunks(MP3), name="a/b/Ünï.mp3", limit_bytes=len(MP3))
    assert upload.sha256 == hashlib.sha256(MP3).hexdigest()
    assert (upload.size_bytes, upload.container, upload.name) == (len(MP3), Container.MP3, "Ünï.mp3")
    assert await files.read(audio_key(upload.asset_id)) == MP3


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (b"", FileEmpty),
        (b"Dear Sir or Madam, " * 1000, Unsupported),
        (b"\x7fELF" + bytes(9000), Unsupported),
        (b"MZ", Unsupported),
        (MP3 + b"x", TooLarge),
    ],
)
async def test_a_refused_upload_leaves_nothing(files: Files, content: bytes, error: type[Exception]):
    with pytest.raises(error):
        await receive_upload(files, _chunks(content), name="track.mp3", limit_bytes=len(MP3))
    assert await _keys(files) == []
