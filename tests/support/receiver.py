"""A real HTTP server that remembers what it was sent and answers as told."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Received:
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """``hangs``: takes the request and does not answer until ``released``. What is changed here holds from the next request on."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    answer: bytes = b"ok"
    hangs: bool = False
    port: int = 0
    received: list[Received] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    news: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    async def wait_for(self, count: int, timeout_s: float = 20) -> list[Received]:
        """Until so many requests have come."""
        async with asyncio.timeout(timeout_s):
            while len(self.received) < count:
                self.news.clear()
                await self.news.wait()
        return self.received

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            request, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", 0)))
            self.received.append(Received(request.split(" ")[1], headers, body))
            self.news.set()
            if self.hangs:
                await self.released.wait()
            else:
                writer.write(self._answer())
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    def _answer(self) -> bytes:
        headers = {"content-length": str(len(self.answer)), "connection": "close", **self.headers}
        lines = [f"HTTP/1.1 {self.status} Whatever", *(f"{name}: {value}" for name, value in headers.items())]
        return "\r\n".join([*lines, "", ""]).encode() + self.answer


@asynccontextmanager
async def receiver(
    *, status: int = 200, headers: Mapping[str, str] | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Receiver]:
    target = Receiver(status=status, headers=headers or {})
    server = await asyncio.start_server(target.serve, "127.0.0.1", 0, ssl=tls)
    target.port = server.sockets[0].getsockname()[1]
    try:
        yield target
    finally:
        target.released.set()
        server.close()
        await server.wait_closed()
