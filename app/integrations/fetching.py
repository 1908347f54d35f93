"""Fetching a recording from an address that a caller has given us: guarded, limited in size, time and redirects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx2

from app.domain.addresses import IntranetHosts
from app.integrations.addresses import Resolve, guarded_client, resolve_by_system

MOST_REDIRECTS = 5
DEADLINE_S = 300.0
_STEP_TIMEOUT_S = 20.0
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_OK = 200


class FetchFailed(Exception):
    """There was no answer, or it broke off."""


class FetchRefused(Exception):
    """The answer was another one than the file. ``status`` says which."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(f"status {status}")


class FetchTooLarge(Exception):
    """The answer announces more than is allowed."""


@asynccontextmanager
async def fetching(
    url: str,
    *,
    intranet: IntranetHosts,
    limit_bytes: int,
    deadline_s: float = DEADLINE_S,
    resolve: Resolve = resolve_by_system,
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The bytes behind ``url``, as they come in. Each redirect's address is checked like the first one.

    Raises:
        FetchFailed, FetchRefused, FetchTooLarge
        UrlRefused, AddressRefused, HostUnknown: the address, or one that it redirects to, must not be called.
    """
    try:
        async with (
            asyncio.timeout(deadline_s),
            guarded_client(intranet, timeout_s=_STEP_TIMEOUT_S, resolve=resolve) as client,
            _opened(client, url) as response,
        ):
            if response.status_code != _OK:
                raise FetchRefused(response.status_code)
            if int(response.headers.get("content-length", "0")) > limit_bytes:
                raise FetchTooLarge
            yield response.aiter_raw()  # what a server packs although it was asked not to is never unpacked
    except (httpx2.HTTPError, TimeoutError, ValueError) as error:
        raise FetchFailed(f"{type(error).__name__}: {error}") from error


@asynccontextmanager
async def _opened(client: httpx2.AsyncClient, url: str) -> AsyncIterator[httpx2.Response]:
    """The answer at the end of the redirects. Nothing is sent along but the address: no cookies, no credentials."""
    target, status = httpx2.URL(url), 0
    for _ in range(MOST_REDIRECTS + 1):
        client.cookies.clear()
        # A compressed answer could unfold to any size; audio gains nothing by it.
        async with client.stream("GET", target, headers={"Accept-Encoding": "identity"}) as response:
            if response.status_code not in _REDIRECTS or "location" not in response.headers:
                yield response
                return
            target, status = target.join(response.headers["location"]), response.status_code
    raise FetchRefused(status)
