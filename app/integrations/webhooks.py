"""One request of a webhook: signed by the Standard Webhooks specification, sent through the guard, answered or not."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import httpx2
from standardwebhooks import Webhook

from app import __version__
from app.domain.ids import utc_now
from app.domain.webhooks import KEPT_BODY_BYTES, SEND_TIMEOUT_S
from app.errors import AddressRefused, HostUnknown, UrlRefused

_USER_AGENT = f"Earmark/{__version__}"
# A name may have an address that does not answer: the next one needs its time too.
_STEPS_S = {"connect": 5.0, "read": SEND_TIMEOUT_S, "write": SEND_TIMEOUT_S, "pool": SEND_TIMEOUT_S}
_KEPT_HEADERS = 40
_KEPT_HEADER_CHARACTERS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What is to be sent. All ``secrets`` sign: after a rotation two, so that the receiver may know either."""

    id: str
    url: str
    body: str
    secrets: Sequence[str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """What came of it: a status, or the error that there was instead."""

    sent_at: datetime
    duration_ms: float
    request_headers: dict[str, str]
    status: int | None = None
    error: str | None = None
    response_headers: dict[str, str] = field(default_factory=dict)
    response_body: str = ""

    @property
    def succeeded(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def signed_headers(message: Message, now: datetime) -> dict[str, str]:
    """``now`` is in UTC: the library takes its wall clock time for UTC whatever its zone."""
    signatures = [Webhook(secret).sign(message.id, now, message.body) for secret in message.secrets]
    return {
        "webhook-id": message.id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": " ".join(signatures),
        "content-type": "application/json",
        "user-agent": _USER_AGENT,
        # What is kept of the answer is bounded as it comes.
        "accept-encoding": "identity",
    }


async def send(transport: httpx2.AsyncBaseTransport, message: Message, *, timeout_s: float) -> Sent:
    """One attempt, answered within ``timeout_s`` or given up. Never raises for what is the receiver's doing.

    Straight through the transport: redirects, cookies and authentication are none of ours, and cost half the time.
    """
    now, started_s = utc_now(), time.monotonic()
    headers = signed_headers(message, now)
    status: int | None = None
    error: str | None = None
    received: dict[str, str] = {}
    body = b""
    try:
        async with asyncio.timeout(timeout_s):
            request = httpx2.Request(
                "POST", message.url, headers=headers, content=message.body, extensions={"timeout": _STEPS_S}
            )
            answer = await transport.handle_async_request(request)
            try:
                body = await _beginning(answer)
                status, received = answer.status_code, _kept_headers(answer)
            finally:
                await answer.aclose()
    except TimeoutError:
        error = f"no complete answer within {timeout_s:g} s"
    except (AddressRefused, HostUnknown, UrlRefused) as refusal:
        error = str(refusal)
    except (httpx2.HTTPError, httpx2.InvalidURL) as failure:
        error = f"{type(failure).__name__}: {failure}"[:300]
    if status is not None and not 200 <= status < 300:
        error = f"answered {status}" + (", and redirects are not followed" if 300 <= status < 400 else "")
    return Sent(
        sent_at=now,
        duration_ms=(time.monotonic() - started_s) * 1000,
        request_headers=headers,
        status=status,
        error=error,
        response_headers=received,
        response_body=_text(body),
    )


async def _beginning(answer: httpx2.Response) -> bytes:
    """The first 4 KB. A short answer is read to its end, so that the connection can be used again."""
    kept = bytearray()
    async for chunk in answer.aiter_raw():
        kept += chunk
        if len(kept) > KEPT_BODY_BYTES:
            break
    return bytes(kept[:KEPT_BODY_BYTES])


def _text(body: bytes) -> str:
    """PostgreSQL knows no NUL."""
    return body.decode("utf-8", "replace").replace("\0", "\ufffd")


def _kept_headers(answer: httpx2.Response) -> dict[str, str]:
    items = list(answer.headers.items())[:_KEPT_HEADERS]
    return {name[:100]: value.replace("\0", "")[:_KEPT_HEADER_CHARACTERS] for name, value in items}
