"""Who stands behind the ``Authorization`` of a request: an API key, or a program with a token of the identity provider."""

from __future__ import annotations

import time
import uuid
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import structlog

from app.domain.permissions import Principal
from app.domain.tokens import API_KEY_MARK, hash_token
from app.errors import TokenRefused, Unavailable
from app.integrations.oidc import OidcRefused, OidcUnreachable
from app.routes.deps import WebParts
from app.routes.guesses import Guesses
from app.services import accounts, api_keys
from app.services.accounts import Identity
from app.services.coalescing import Coalesced

log = structlog.stdlib.get_logger(__name__)

# So long a key is taken for what it was, as far as other processes are concerned; what this one writes counts at once.
_KEY_FRESH_S = 1.0
# Writing down that a key was used is worth one write in this time, not one for each request.
_KEY_USE_INTERVAL_S = 60.0
_MOST_RECENT = 10_000
# Claims that name a program or a person, the best first.
_NAME_CLAIMS = ("name", "preferred_username", "client_id", "azp", "sub")


@dataclass(frozen=True, slots=True)
class _Recent:
    """Whose a key was, and how long that may be relied on."""

    principal: Principal
    commits: int
    until_s: float


class Bearers:
    """Recognises bearer tokens (RFC 6750)."""

    def __init__(self) -> None:
        self._key_noted_at: dict[uuid.UUID, float] = {}
        self._keys: Coalesced[str, Principal] = Coalesced()
        self._recent: dict[str, _Recent] = {}
        self._guesses = Guesses()

    async def principal_of(self, parts: WebParts, host: str, authorization: str) -> Principal:
        """``host``: the address that asks.

        Raises:
            TokenRefused: it is nobody's.
            TooMany: too many tokens from this address were refused.
            Unavailable: the identity provider would have to be asked, and does not answer.
        """
        self._guesses.check(host, authorization)
        try:
            principal = await self._find(parts, authorization)
        except TokenRefused:
            await self._guesses.refused(parts, host)
            raise
        self._guesses.accepted(authorization)
        return principal

    async def _find(self, parts: WebParts, authorization: str) -> Principal:
        scheme, _, token = authorization.partition(" ")
        token = token.strip()
        if scheme.lower() != "bearer" or not token:
            raise TokenRefused
        if token.startswith(API_KEY_MARK) or parts.provider is None or parts.config.oidc_audience is None:
            return await self._by_key(parts, token)
        return await _by_access_token(parts, token)

    async def _by_key(self, parts: WebParts, token: str) -> Principal:
        key_hash, commits, now_s = hash_token(token), parts.store.database.identity_commits, time.monotonic()
        recent = self._recent.get(key_hash)
        if recent is not None and recent.commits == commits and now_s < recent.until_s:
            return recent.principal
        principal = await self._look_up(parts, token)
        if len(self._recent) >= _MOST_RECENT:
            self._recent.clear()
        self._recent[key_hash] = _Recent(principal, commits, now_s + _KEY_FRESH_S)
        return principal

    async def _look_up(self, parts: WebParts, token: str) -> Principal:
        async def find(tokens: Collection[str]) -> dict[str, Principal]:
            async with parts.store.reading() as uow:
                return await api_keys.principals_of_api_keys(uow, tokens)

        principal = await self._keys.get(token, find)
        if principal is None:
            raise TokenRefused
        await self._note_use(parts, principal)
        return principal

    async def _note_use(self, parts: WebParts, principal: Principal) -> None:
        key_id, now = principal.api_key_id, time.monotonic()
        if key_id is None or now - self._key_noted_at.get(key_id, -_KEY_USE_INTERVAL_S) < _KEY_USE_INTERVAL_S:
            return
        self._key_noted_at[key_id] = now
        async with parts.store.writing() as uow:
            await api_keys.note_api_key_use(uow, key_id)


# --- tokens of the identity provider


async def _claims(parts: WebParts, token: str) -> dict[str, Any]:
    assert parts.provider is not None
    assert parts.config.oidc_audience is not None
    try:
        return await parts.provider.check_access_token(token, parts.config.oidc_audience)
    except OidcRefused as error:
        log.warning("access token refused", reason=str(error))
        raise TokenRefused from error
    except OidcUnreachable as error:
        log.warning("identity provider unreachable", reason=str(error))
        raise Unavailable from error


async def _by_access_token(parts: WebParts, token: str) -> Principal:
    claims = await _claims(parts, token)
    roles = parts.config.roles
    assert parts.provider is not None
    identity = Identity(
        issuer=parts.provider.issuer,
        subject=str(claims["sub"]),
        name=next(str(claims[name]) for name in _NAME_CLAIMS if claims.get(name)),
        email=None,
        role=accounts.role_of(claims, claim=roles.claim, role_map=roles.role_map, default=roles.default),
    )
    async with parts.store.reading() as uow:
        known = await accounts.principal_of_identity(uow, identity)
    if known is not None:
        return known
    async with parts.store.writing() as uow:
        return await accounts.welcome(uow, identity)
