"""What a run of ``earmark batch`` remembers, so that it can be interrupted anywhere and go on: a file beside the report.

JSON Lines: the run first, then what became of each file. A line that was being written when the program was killed is
passed over; the server knows the file by its ``Idempotency-Key`` all the same.
"""

from __future__ import annotations

import hashlib
import secrets
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Self

import msgspec


class Run(msgspec.Struct, frozen=True, kw_only=True, tag="run"):
    """``key`` makes all of this run's Idempotency-Keys its own."""

    key: str
    url: str
    folder: str


class Fate(msgspec.Struct, frozen=True, kw_only=True, tag="file"):
    """What became of a file: a job, or a refusal. Size and time of change tell whether it is still the same file."""

    path: str
    size_bytes: int
    changed_ns: int
    job_id: uuid.UUID | None = None
    error: str | None = None

    @classmethod
    def of(cls, path: str, file: Path) -> Self:
        """Open still. A file that is gone has no size and no time."""
        try:
            stat = file.stat()
        except OSError:
            return cls(path=path, size_bytes=0, changed_ns=0)
        return cls(path=path, size_bytes=stat.st_size, changed_ns=stat.st_mtime_ns)

    def is_of(self, other: Fate) -> bool:
        return (self.path, self.size_bytes, self.changed_ns) == (other.path, other.size_bytes, other.changed_ns)


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="batch"):
    """The run's batch, once the server has made it."""

    batch_id: uuid.UUID


class StateBroken(Exception):
    """The file is not one of ours, or another run's."""


class BatchState:
    """The run, its batch, and the fates of its files so far. What is added is written to the file at once."""

    def __init__(self, path: Path, file: IO[bytes], run: Run, entries: Sequence[Opened | Fate] = ()) -> None:
        self.run = run
        self.batch_id = next((entry.batch_id for entry in entries if isinstance(entry, Opened)), None)
        self.fates = {entry.path: entry for entry in entries if isinstance(entry, Fate)}
        self._path = path
        self._file = file

    @classmethod
    def begin(cls, path: Path, *, url: str, folder: str) -> Self:
        run = Run(key=secrets.token_hex(16), url=url, folder=folder)
        file = path.open("xb")
        state = cls(path, file, run)
        state._write(run)
        return state

    @classmethod
    def resume(cls, path: Path, *, url: str, folder: str) -> Self:
        """
        Raises:
            StateBroken: it belongs to another server or folder, or is damaged.
        """
        whole, _, _ = path.read_bytes().rpartition(b"\n")
        run, entries = _read(whole, path)
        if (run.url, run.folder) != (url, folder):
            raise StateBroken(f"{path} belongs to a run on {run.folder} through {run.url}")
        file = path.open("r+b")
        file.truncate(len(whole) + 1)
        file.seek(0, 2)
        return cls(path, file, run, entries)

    def opened(self, batch_id: uuid.UUID) -> None:
        self.batch_id = batch_id
        self._write(Opened(batch_id=batch_id))

    def add(self, fate: Fate) -> None:
        self.fates[fate.path] = fate
        self._write(fate)

    def _write(self, entry: Run | Opened | Fate) -> None:
        self._file.write(msgspec.json.encode(entry) + b"\n")
        self._file.flush()

    def known(self, path: str, file: Path) -> Fate | None:
        """What became of a file, if it is still the same."""
        fate = self.fates.get(path)
        return fate if fate is not None and fate.is_of(Fate.of(path, file)) else None

    def key_of(self, path: str, sha256: str) -> str:
        """The Idempotency-Key of a file with this content under this path."""
        return hashlib.sha256(f"{self.run.key}/{sha256}/{path}".encode()).hexdigest()

    def close(self) -> None:
        self._file.close()

    def forget(self) -> None:
        """The run is over."""
        self.close()
        self._path.unlink()


def _read(content: bytes, path: Path) -> tuple[Run, list[Opened | Fate]]:
    first, *others = content.splitlines() or [b""]
    decoder = msgspec.json.Decoder(Opened | Fate)
    try:
        return msgspec.json.decode(first, type=Run), [decoder.decode(line) for line in others]
    except msgspec.DecodeError as error:
        raise StateBroken(f"{path} can't be read: {error}") from error
