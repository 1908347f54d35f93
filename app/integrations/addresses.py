"""Calls to addresses that callers have given us, guarded: nobody gets to use Earmark as a way into the network it runs in.

The name is resolved once, every address it has is checked, and the connection goes to a checked address: a name that changes
its mind between check and connection (DNS rebinding) gains nothing. TLS still verifies the name. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Awaitable, Callable, Sequence

import httpx2

from app.domain.addresses import IntranetHosts, IpAddress, is_public, parse_ip
from app.errors import AddressRefused, HostUnknown, UrlRefused

URL_LIMIT = 2048
_RESOLVE_TIMEOUT_S = 5.0
# Of a name's addresses so many are tried: the first may be of a kind (IPv6) that this machine can't reach.
_MOST_TRIED = 4
_MOST_CONNECTIONS = 100
_PORTS = {"https": 443, "http": 80}

Resolve = Callable[[str, int], Awaitable[list[str]]]


async def resolve_by_system(host: str, port: int) -> list[str]:
    """All addresses of a name, in the order in which the system would try them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def check_url(text: str | httpx2.URL, intranet: IntranetHosts) -> httpx2.URL:
    """What can be told about an address without the network. Plain http is for hosts of the intranet only.

    Raises:
        UrlRefused: it is no absolute https address, or carries credentials.
        AddressRefused: its host is written as an address that must not be called.
    """
    try:
        url = httpx2.URL(text)
    except (httpx2.InvalidURL, ValueError):
        raise UrlRefused from None
    text = str(text)
    complete = url.scheme in _PORTS and url.host and "%" not in url.host and url.port != 0 and (url.port or 1) < 2**16
    if not complete or url.userinfo or len(text) > URL_LIMIT or not text.isprintable():
        raise UrlRefused
    address = ipaddress.ip_address("127.0.0.1") if _is_localhost(url.host) else parse_ip(url.host)
    if address is not None:
        _check_addresses(url, [address], intranet)
    elif url.scheme == "http" and not intranet:
        raise UrlRefused
    return url


def _is_localhost(host: str) -> bool:
    return host.rstrip(".") == "localhost" or host.rstrip(".").endswith(".localhost")


def _check_addresses(url: httpx2.URL, addresses: Sequence[IpAddress], intranet: IntranetHosts) -> None:
    listed = intranet.has_name(url.host) or all(map(intranet.has_address, addresses))
    if not listed and not all(is_public(address) or intranet.has_address(address) for address in addresses):
        raise AddressRefused(host=url.host)
    if not listed and url.scheme != "https":
        raise UrlRefused


async def check_host(url: httpx2.URL, intranet: IntranetHosts, resolve: Resolve = resolve_by_system) -> list[IpAddress]:
    """The addresses of the host, each of them checked.

    Raises:
        HostUnknown: the name has no address.
        AddressRefused: one of its addresses must not be called.
        UrlRefused: plain http to a host outside the intranet.
    """
    written = parse_ip(url.host)
    addresses = await _resolved(url, resolve) if written is None else [written]
    _check_addresses(url, addresses, intranet)
    return addresses


async def _resolved(url: httpx2.URL, resolve: Resolve) -> list[IpAddress]:
    try:
        async with asyncio.timeout(_RESOLVE_TIMEOUT_S):
            found = await resolve(url.host, url.port or _PORTS[url.scheme])
    except (OSError, UnicodeError, TimeoutError):
        raise HostUnknown(host=url.host) from None
    addresses = [address for text in found if (address := parse_ip(text)) is not None]
    if not addresses:
        raise HostUnknown(host=url.host)
    return addresses


class GuardedTransport(httpx2.AsyncBaseTransport):
    """Checks every request's address, then connects to exactly what was checked. No proxy.

    A kept connection is found again by its address, whatever name it was opened for: ``kept_connections`` is for a transport
    that calls one host only.
    """

    def __init__(
        self,
        intranet: IntranetHosts,
        *,
        resolve: Resolve = resolve_by_system,
        tls: ssl.SSLContext | None = None,
        kept_connections: int = 0,
    ) -> None:
        self._intranet, self._resolve = intranet, resolve
        limits = httpx2.Limits(max_connections=_MOST_CONNECTIONS, max_keepalive_connections=kept_connections)
        self._inner = httpx2.AsyncHTTPTransport(verify=tls or httpx2.create_ssl_context(), limits=limits)

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        url = check_url(request.url, self._intranet)
        addresses = await check_host(url, self._intranet, self._resolve)
        failure: httpx2.TransportError = httpx2.ConnectError(f"no address of {url.host} answers")
        for address in addresses[:_MOST_TRIED]:
            try:
                return await self._send(request, address)
            except (httpx2.ConnectError, httpx2.ConnectTimeout) as error:  # nothing has been sent yet
                failure = error
        raise failure

    async def _send(self, request: httpx2.Request, address: IpAddress) -> httpx2.Response:
        """The Host header is the name already; TLS is told the name to verify."""
        pinned = httpx2.Request(
            request.method,
            request.url.copy_with(host=str(address)),
            headers=request.headers,
            stream=request.stream,
            extensions={**request.extensions, "sni_hostname": request.url.host},
        )
        return await self._inner.handle_async_request(pinned)

    async def aclose(self) -> None:
        await self._inner.aclose()


def guarded_client(
    intranet: IntranetHosts,
    *,
    timeout_s: float,
    kept_connections: int = 0,
    resolve: Resolve = resolve_by_system,
    tls: ssl.SSLContext | None = None,
) -> httpx2.AsyncClient:
    """A client for addresses that callers have given us. ``timeout_s`` is for each step: set a deadline for the whole too.

    Its requests raise what ``check_url`` and ``check_host`` raise, beside httpx2's own errors.
    """
    transport = GuardedTransport(intranet, resolve=resolve, tls=tls, kept_connections=kept_connections)
    return httpx2.AsyncClient(transport=transport, follow_redirects=False, trust_env=False, timeout=timeout_s)
