"""Ask a ClamAV daemon about a file, by its command INSTREAM (clamd(8)): it gets the bytes, never a path."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from app.errors import ScannerUnavailable

DEFAULT_PORT = 3310
_CONNECT_TIMEOUT_S = 5.0
_TIMEOUT_S = 60.0  # for a whole file: clamd itself gives up on one after two minutes
_ANSWER_LIMIT_BYTES = 4096
_CLEAN, _FOUND = b"stream: OK", b" FOUND"


class Clamd:
    """``url``: unix:///run/clamav/clamd.ctl or tcp://host:3310. Each file has a connection of its own."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._path = parts.path if parts.scheme == "unix" else None
        self._host, self._port = parts.hostname or "", parts.port or DEFAULT_PORT

    async def scan(self, chunks: AsyncIterator[bytes]) -> str | None:
        """The name of what was found in a file, or None.

        Raises:
            ScannerUnavailable: clamd does not answer, or could not scan this.
        """
        async with self._asking(b"zINSTREAM\0") as (reader, writer):
            with contextlib.suppress(ConnectionError):  # it has said why before it hung up
                await _send(writer, chunks)
            answer = await _answer(reader)
        if answer == _CLEAN:
            return None
        if answer.startswith(b"stream: ") and answer.endswith(_FOUND):
            return answer.removeprefix(b"stream: ").removesuffix(_FOUND).decode(errors="replace")
        raise ScannerUnavailable from ValueError(answer.decode(errors="replace"))

    async def check(self) -> None:
        """
        Raises:
            ScannerUnavailable: clamd does not answer.
        """
        async with self._asking(b"zPING\0") as (reader, _):
            answer = await _answer(reader)
        if answer != b"PONG":
            raise ScannerUnavailable from ValueError(answer.decode(errors="replace"))

    @asynccontextmanager
    async def _asking(self, command: bytes) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                reader, writer = await self._connect()
                try:
                    writer.write(command)
                    yield reader, writer
                finally:
                    writer.close()
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            raise ScannerUnavailable from error

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        async with asyncio.timeout(_CONNECT_TIMEOUT_S):
            if self._path is not None:
                return await asyncio.open_unix_connection(self._path, limit=_ANSWER_LIMIT_BYTES)
            return await asyncio.open_connection(self._host, self._port, limit=_ANSWER_LIMIT_BYTES)


async def _send(writer: asyncio.StreamWriter, chunks: AsyncIterator[bytes]) -> None:
    """Each chunk after its length; a length of zero is the end."""
    async for chunk in chunks:
        if chunk:
            writer.write(len(chunk).to_bytes(4, "big") + chunk)
            await writer.drain()
    writer.write(bytes(4))
    await writer.drain()


async def _answer(reader: asyncio.StreamReader) -> bytes:
    return (await reader.readuntil(b"\0")).removesuffix(b"\0")
