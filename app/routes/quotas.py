"""How much each caller may ask of the API, told in every answer (draft-ietf-httpapi-ratelimit-headers)."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass

from app.domain.permissions import Principal
from app.errors import TooMany
from app.integrations.rate_limits import RateLimits, Taken
from app.routes.deps import WebParts
from app.services.coalescing import Coalesced

WINDOW_S = 60

# A caller, and a number that is the request's own.
_Ticket = tuple[str, int]


@dataclass(frozen=True, slots=True)
class Quota:
    """What a caller has left; fewer than none once it has asked for too much."""

    role: str
    limit: int
    remaining: int
    left_s: int

    def headers(self) -> list[tuple[bytes, bytes]]:
        policy = f'"{self.role}";q={self.limit};w={WINDOW_S}'
        rest = f'"{self.role}";r={max(self.remaining, 0)};t={self.left_s}'
        return [(b"ratelimit-policy", policy.encode()), (b"ratelimit", rest.encode())]

    def check(self) -> None:
        """
        Raises:
            TooMany: nothing is left in this window.
        """
        if self.remaining < 0:
            raise TooMany(limit=self.limit, window_s=WINDOW_S, retry_after_s=max(self.left_s, 1))


async def _count(limits: RateLimits, tickets: Collection[_Ticket]) -> dict[_Ticket, Taken]:
    """Count the tickets of each caller at once; each gets its own place in the order."""
    by_caller: defaultdict[str, list[_Ticket]] = defaultdict(list)
    for ticket in tickets:
        by_caller[ticket[0]].append(ticket)
    counted: dict[_Ticket, Taken] = {}
    for caller, own in by_caller.items():
        taken = await limits.take(caller, len(own), WINDOW_S)
        if taken is not None:
            first = taken.count - len(own) + 1
            counted |= {ticket: Taken(first + place, taken.left_s) for place, ticket in enumerate(own)}
    return counted


class Quotas:
    """Counts requests; those that come at the same time go to Redis together."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._taken: Coalesced[_Ticket, Taken] = Coalesced()

    async def take(self, parts: WebParts, caller: Principal) -> Quota | None:
        """Count one request; None where there is no limit, or where nobody counts because Redis is away."""
        limit = parts.config.rate_limits.get(caller.role, 0)
        if not limit:
            return None

        async def count(tickets: Collection[_Ticket]) -> dict[_Ticket, Taken]:
            return await _count(parts.rate_limits, tickets)

        taken = await self._taken.get((caller.ident, next(self._numbers)), count)
        return Quota(caller.role, limit, limit - taken.count, math.ceil(taken.left_s)) if taken else None
