"""The recordings and pictures of any storage as a folder, and back: what a backup of a bucket is made of.

Files in storage never change their content, so name and size tell what is there already; a run that was broken off is simply
repeated.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from app.domain.keys import AUDIO_PREFIX, EXAMPLE_PREFIX, SPECTROGRAM_PREFIX
from app.integrations.files import CHUNK_BYTES, FileGone, Files

_PREFIXES = (AUDIO_PREFIX, SPECTROGRAM_PREFIX, EXAMPLE_PREFIX)
_AT_ONCE = 16

# Hears of each file: how many are done, and how many there are.
Report = Callable[[int, int], None]


@dataclass(slots=True)
class Copied:
    """What a run has done. ``dropped``: files of the folder that storage has no more."""

    files: int = 0
    size_bytes: int = 0
    unchanged: int = 0
    dropped: int = 0


async def save_files(files: Files, folder: Path, report: Report) -> Copied:
    """Make the folder hold what the storage holds, no more and no less."""
    there = await _sizes(files)
    here = _local_sizes(folder)
    copied = Copied(unchanged=sum(here.get(key) == size for key, size in there.items()))
    wanted = {key: size for key, size in there.items() if here.get(key) != size}
    await _each(wanted, lambda key: _fetch(files, key, folder / key), copied, report)
    for key in here.keys() - there.keys():
        (folder / key).unlink()
        copied.dropped += 1
    return copied


async def load_files(files: Files, folder: Path, report: Report) -> Copied:
    """Bring the files of the folder into the storage; what else lies there stays."""
    there = await _sizes(files)
    here = _local_sizes(folder)
    copied = Copied(unchanged=sum(there.get(key) == size for key, size in here.items()))
    wanted = {key: size for key, size in here.items() if there.get(key) != size}
    await _each(wanted, lambda key: _send(files, key, folder / key), copied, report)
    return copied


async def _sizes(files: Files) -> dict[str, int]:
    """By key. A name that would lead out of the folder is none of ours."""
    found: dict[str, int] = {}
    for prefix in _PREFIXES:
        async for page in files.sizes(prefix):
            found |= {key: size for key, size in page.items() if ".." not in PurePosixPath(key).parts}
    return found


def _local_sizes(folder: Path) -> dict[str, int]:
    """Names that begin with a dot are unfinished."""
    paths = (path for prefix in _PREFIXES for path in (folder / prefix).rglob("*") if path.is_file())
    return {
        PurePosixPath(path.relative_to(folder)).as_posix(): path.stat().st_size
        for path in paths
        if not path.name.startswith(".")
    }


async def _each(wanted: dict[str, int], copy: Callable[[str], Awaitable[bool]], copied: Copied, report: Report) -> None:
    """Several at a time; what was deleted meanwhile is passed over."""
    left = iter(wanted.items())
    done = 0

    async def some() -> None:
        nonlocal done
        for key, size_bytes in left:
            if await copy(key):
                copied.files += 1
                copied.size_bytes += size_bytes
            done += 1
            report(done, len(wanted))

    async with asyncio.TaskGroup() as group:
        for _ in range(_AT_ONCE):
            group.create_task(some())


async def _fetch(files: Files, key: str, target: Path) -> bool:
    draft = target.with_name(f".{target.name}.unfinished")
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        with draft.open("wb") as file:
            async for chunk in files.stream(key, 0, await files.size_bytes(key)):
                file.write(chunk)
    except FileGone:
        draft.unlink(missing_ok=True)
        return False
    draft.replace(target)
    return True


async def _send(files: Files, key: str, source: Path) -> bool:
    async def chunks() -> AsyncIterator[bytes]:
        with source.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    await files.put(key, chunks())
    return True
