"""How often somebody may guess a key: refused credentials are counted for each address, over all web processes."""

from __future__ import annotations

import ipaddress
import math
import time

from app.domain.tokens import hash_token
from app.errors import TooMany
from app.routes.deps import WebParts
from app.routes.quotas import WINDOW_S

REFUSALS_LIMIT = 30
_MOST_KNOWN = 10_000
# Whoever has an IPv6 address has all of its /64.
_IPV6_NETWORK_BITS = 64


def _network_of(host: str) -> str:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return host
    return str(ipaddress.ip_network((address.packed, _IPV6_NETWORK_BITS), strict=False))


class Guesses:
    """Shuts an address out for the rest of a minute in which it had too many credentials refused.

    Credentials that were good before go on working from there: behind one address there may be a whole company.
    """

    def __init__(self) -> None:
        self._good: set[str] = set()
        self._shut_until_s: dict[str, float] = {}

    def check(self, host: str, authorization: str) -> None:
        """Before credentials that come from ``host`` are looked at.

        Raises:
            TooMany
        """
        if not self._shut_until_s:
            return
        left_s = self._shut_until_s.get(_network_of(host), 0.0) - time.monotonic()
        if left_s > 0 and hash_token(authorization) not in self._good:
            raise TooMany(limit=REFUSALS_LIMIT, window_s=WINDOW_S, retry_after_s=math.ceil(left_s))

    def accepted(self, authorization: str) -> None:
        if len(self._good) >= _MOST_KNOWN:
            self._good.clear()
        self._good.add(hash_token(authorization))

    async def refused(self, parts: WebParts, host: str) -> None:
        network = _network_of(host)
        taken = await parts.rate_limits.take(f"refused:{network}", 1, WINDOW_S)
        if taken is not None and taken.count >= REFUSALS_LIMIT:
            now_s = time.monotonic()
            self._shut_until_s = {at: until_s for at, until_s in self._shut_until_s.items() if until_s > now_s}
            self._shut_until_s[network] = now_s + taken.left_s
