"""The object store: a local folder or S3, told by the settings. Keys are ours; a user's file name never becomes a path."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path
from urllib.parse import urlsplit

import obstore
from obstore.store import LocalStore, S3Store

CHUNK_BYTES = 256 * 1024
# How object_store names a file of a folder that is not complete yet; none of our keys looks like that.
_STAGED = re.compile(r"#\d+$")
_PART_BYTES = 5 * 1024 * 1024  # the smallest part S3 takes


class FileGone(Exception):
    """There is no file under this key."""


class Files:
    """Atomic puts, ranged reads, deletes that may be repeated. Errors other than FileGone are the store's own."""

    def __init__(self, store: LocalStore | S3Store) -> None:
        self._store = store
        # Of each file on its way this much is in memory, a few times over.
        local = isinstance(store, LocalStore)
        self._part_bytes, self._at_once = (CHUNK_BYTES, 1) if local else (_PART_BYTES, 2)

    async def put(self, key: str, chunks: AsyncIterator[bytes]) -> None:
        """Store what ``chunks`` yields. If it raises, nothing becomes visible and its exception comes out."""
        await obstore.put_async(self._store, key, chunks, chunk_size=self._part_bytes, max_concurrency=self._at_once)

    async def put_bytes(self, key: str, content: bytes) -> None:
        await obstore.put_async(self._store, key, content)

    async def size_bytes(self, key: str) -> int:
        try:
            return (await obstore.head_async(self._store, key))["size"]
        except FileNotFoundError as error:
            raise FileGone(key) from error

    async def read(self, key: str) -> bytes:
        try:
            result = await obstore.get_async(self._store, key)
        except FileNotFoundError as error:
            raise FileGone(key) from error
        return bytes(await result.bytes_async())

    async def stream(self, key: str, start: int, end: int) -> AsyncIterator[bytes]:
        """The bytes from ``start`` up to, but without, ``end``."""
        try:
            result = await obstore.get_async(self._store, key, options={"range": (start, end)})
        except FileNotFoundError as error:
            raise FileGone(key) from error
        async for chunk in result.stream(min_chunk_size=CHUNK_BYTES):
            yield bytes(chunk)

    async def copy(self, source: str, target: str) -> None:
        try:
            await obstore.copy_async(self._store, source, target)
        except FileNotFoundError as error:
            raise FileGone(source) from error

    @property
    def has_storage_classes(self) -> bool:
        """Can a file move to a cheaper class of storage? Not in a local folder."""
        return not isinstance(self._store, LocalStore)

    async def move_to_class(self, key: str, storage_class: str) -> None:
        """Write the file anew, in another storage class of S3; until the last byte is there, the old one is read."""
        await obstore.put_async(
            self._store,
            key,
            self.stream(key, 0, await self.size_bytes(key)),
            chunk_size=self._part_bytes,
            max_concurrency=self._at_once,
            attributes={"Storage-Class": storage_class},
        )

    async def signed_puts(self, keys: Sequence[str], lifetime: timedelta) -> list[str] | None:
        """Addresses to which whoever has them may send the files by PUT; None if the store is a local folder."""
        if isinstance(self._store, LocalStore):
            return None
        return list(await obstore.sign_async(self._store, "PUT", list(keys), lifetime))

    async def delete(self, key: str) -> None:
        """Delete; a file that is not there is deleted already."""
        try:
            await obstore.delete_async(self._store, key)
        except FileNotFoundError:
            return

    async def sizes(self, prefix: str) -> AsyncIterator[dict[str, int]]:
        """Pages of keys under ``prefix``, each with the size of its file in bytes."""
        async for page in self._store.list(prefix):
            yield {entry["path"]: entry["size"] for entry in page}

    async def keys_older_than(self, prefix: str, moment: datetime) -> AsyncIterator[list[str]]:
        """Pages of keys under ``prefix`` that were last written before ``moment``."""
        async for page in self._store.list(prefix):
            yield [entry["path"] for entry in page if entry["last_modified"] < moment]

    async def delete_unfinished(self, moment: datetime) -> int:
        """Delete what puts have left behind whose process was killed before ``moment``; returns how many.

        In a folder they lie beside the files under names of their own, which ``keys_older_than`` never shows. S3 keeps them out
        of sight, until a rule of the bucket deletes them (AbortIncompleteMultipartUpload, docs/faults.md).
        """
        if not isinstance(self._store, LocalStore) or self._store.prefix is None:
            return 0
        return await asyncio.to_thread(_delete_staged, Path(self._store.prefix), moment.timestamp())

    async def check(self) -> None:
        """Raise if the store can't be reached (a missing file is an answer too)."""
        try:
            await obstore.head_async(self._store, "health-check")
        except FileNotFoundError:
            return


def _delete_staged(folder: Path, before_s: float) -> int:
    deleted = 0
    for path in folder.rglob("*#*"):
        try:
            if _STAGED.search(path.name) and path.stat().st_mtime < before_s:
                path.unlink()
                deleted += 1
        except FileNotFoundError:  # finished or deleted at this moment
            continue
    return deleted


def local_files(folder: Path) -> Files:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Files(LocalStore(folder, automatic_cleanup=True))


def s3_files(
    url: str, *, endpoint: str | None, region: str, access_key_id: str | None, secret_access_key: str | None
) -> Files:
    """``url`` is s3://bucket/prefix. Without keys the machine's own role is used."""
    parts = urlsplit(url)
    return Files(
        S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            endpoint=endpoint,
            region=region,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            virtual_hosted_style_request=endpoint is None,
            client_options={"allow_http": True, "timeout": "60s", "connect_timeout": "5s"},
            retry_config={"max_retries": 3, "retry_timeout": timedelta(seconds=20)},
        )
    )
