"""The way of a file into storage: hashed, sized and sniffed while it streams; refused files leave nothing behind."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Self

from app.domain.ids import new_id
from app.domain.keys import audio_key
from app.domain.media import SNIFF_BYTES, Container, clean_name, sniff_container
from app.errors import FileEmpty, FileInfected, TooLarge, Unsupported
from app.integrations.clamd import Clamd
from app.integrations.files import Files


@dataclass(frozen=True, slots=True)
class StoredUpload:
    """A file that lies in storage, but in no table yet."""

    asset_id: uuid.UUID
    name: str
    sha256: str
    size_bytes: int
    container: Container

    def named(self, name: str) -> Self:
        return replace(self, name=clean_name(name))


def too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(limit_mb=f"{limit_bytes / 1e6:g}")


class _Inspector:
    """Watches the bytes go by and stops those that can't be audio or are too many."""

    def __init__(self, limit_bytes: int) -> None:
        self.limit_bytes = limit_bytes
        self.size_bytes = 0
        self.container: Container | None = None
        self._hash = hashlib.sha256()

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()

    async def watch(self, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        head = b""
        async for chunk in chunks:
            self._count(chunk)
            if self.container is not None:
                yield chunk
                continue
            head += chunk
            if len(head) >= SNIFF_BYTES:
                self.container = _require_audio(head)
                yield head
        if self.container is None:
            if not head:
                raise FileEmpty
            self.container = _require_audio(head)
            yield head

    def _count(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.size_bytes += len(chunk)
        if self.size_bytes > self.limit_bytes:
            raise too_large(self.limit_bytes)


def _require_audio(head: bytes) -> Container:
    container = sniff_container(head[:SNIFF_BYTES])
    if container is None:
        raise Unsupported
    return container


async def receive_upload(
    files: Files,
    chunks: AsyncIterator[bytes],
    *,
    name: str,
    limit_bytes: int,
    asset_id: uuid.UUID | None = None,
    scanner: Clamd | None = None,
) -> StoredUpload:
    """Stream ``chunks`` to storage, for a new asset unless there is one already; then have them scanned, if there is a scanner.

    Raises:
        FileEmpty, TooLarge, Unsupported, FileInfected, ScannerUnavailable: refused; nothing is left in storage.
    """
    inspector = _Inspector(limit_bytes)
    asset_id = asset_id or new_id()
    await files.put(audio_key(asset_id), inspector.watch(chunks))
    assert inspector.container is not None
    stored = StoredUpload(asset_id, clean_name(name), inspector.sha256, inspector.size_bytes, inspector.container)
    if scanner is not None:
        await _scan(files, scanner, stored)
    return stored


async def _scan(files: Files, scanner: Clamd, stored: StoredUpload) -> None:
    """From storage: while a file still comes in, a slow sender would hold one of the scanner's few connections."""
    key = audio_key(stored.asset_id)
    try:
        signature = await scanner.scan(files.stream(key, 0, stored.size_bytes))
        if signature is not None:
            raise FileInfected(signature=signature)
    except BaseException:  # also if the caller went away meanwhile
        await files.delete(key)
        raise
