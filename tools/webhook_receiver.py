"""The other side of `bench_webhooks.py`: a process that listens on many ports and checks each request as it
comes, while its timestamp is still to be believed.

Reads its orders from standard input, a line of JSON each: first the secrets (one for each port it is to open), then `recover`
(answer 200 everywhere) or `count`. Answers each with a line of JSON.
"""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass, field
from typing import Any, cast

import uvloop
from standardwebhooks import Webhook, WebhookVerificationError

_ANSWERS = {status: f"HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n".encode() for status in (200, 500)}


@dataclass
class Endpoint:
    """One port. ``mood``: ok, failing (answers 500) or hanging (answers nothing)."""

    webhook: Webhook
    mood: str
    requests: int = 0
    wrongly_signed: int = 0
    accepted: set[str] = field(default_factory=set)

    def take(self, headers: dict[str, str], body: bytes) -> bytes | None:
        """The answer, if there is one."""
        self.requests += 1
        self.wrongly_signed += not _verifies(self.webhook, headers, body)
        if self.mood != "ok":
            return _ANSWERS[500] if self.mood == "failing" else None
        self.accepted.add(headers["webhook-id"])
        return _ANSWERS[200]


def _verifies(webhook: Webhook, headers: dict[str, str], body: bytes) -> bool:
    try:
        webhook.verify(body, headers)
    except WebhookVerificationError:
        return False
    return True


class Connection(asyncio.Protocol):
    """Just enough of HTTP/1.1 to cost next to nothing: the machine is to be busy with the sender."""

    def __init__(self, endpoint: Endpoint, hung: list[asyncio.Transport]) -> None:
        self._endpoint, self._hung = endpoint, hung
        self._received = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        while (end := self._received.find(b"\r\n\r\n")) >= 0:
            lines = self._received[:end].decode("latin-1").split("\r\n")[1:]
            headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
            whole = end + 4 + int(headers.get("content-length", "0"))
            if len(self._received) < whole:
                return
            answer = self._endpoint.take(headers, bytes(self._received[end + 4 : whole]))
            del self._received[:whole]
            if answer is None:
                self._hung.append(self._transport)
            else:
                self._transport.write(answer)


def _obey(order: dict[str, Any], endpoints: list[Endpoint], hung: list[asyncio.Transport]) -> dict[str, Any]:
    if order["order"] == "recover":
        for endpoint in endpoints:
            endpoint.mood = "ok"
        for transport in hung:
            transport.abort()
    return {
        "accepted": [len(endpoint.accepted) for endpoint in endpoints],
        "requests": sum(endpoint.requests for endpoint in endpoints),
        "wrongly_signed": sum(endpoint.wrongly_signed for endpoint in endpoints),
    }


async def main() -> None:
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    endpoints: list[Endpoint] = []
    hung: list[asyncio.Transport] = []
    for order in json.loads(await reader.readline())["endpoints"]:
        endpoint = Endpoint(Webhook(order["secret"]), order["mood"])
        endpoints.append(endpoint)
        await loop.create_server(lambda endpoint=endpoint: Connection(endpoint, hung), "127.0.0.1", order["port"])  # type: ignore[misc]
    print(json.dumps({"ready": True}), flush=True)
    while line := await reader.readline():
        print(json.dumps(_obey(json.loads(line), endpoints, hung)), flush=True)


if __name__ == "__main__":
    uvloop.run(main())
