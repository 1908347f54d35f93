"""What an identity provider does for us, without what it takes to talk to one: importing ``oidc_provider`` takes a while."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol


class OidcRefused(Exception):
    """The answer of the provider, or what claims to be one, can't be trusted. The words are for the log."""


class OidcUnreachable(Exception):
    """The provider does not answer as a provider should. The words are for the log."""


@dataclass(frozen=True, slots=True)
class AuthorizationRequest:
    """Where to send the browser, and what must be remembered until it comes back."""

    url: str
    state: str
    nonce: str
    code_verifier: str


@dataclass(frozen=True, slots=True)
class Authenticated:
    """Somebody whom the provider has identified."""

    claims: dict[str, Any]
    id_token: str

    @property
    def sid(self) -> str | None:
        sid = self.claims.get("sid")
        return sid if isinstance(sid, str) else None


class IdentityProvider(Protocol):
    """Every method raises OidcUnreachable if the provider does not answer, OidcRefused if it or a token can't be trusted."""

    issuer: str

    async def start(self, redirect_uri: str) -> AuthorizationRequest: ...

    async def finish(
        self,
        query: Mapping[str, str],
        *,
        started: AuthorizationRequest,
        redirect_uri: str,
        wanted_claims: Collection[str],
    ) -> Authenticated:
        """Turn the callback's ``query`` into somebody. Claims that the ID token lacks are asked for."""

    async def check_access_token(self, raw: str, audience: str) -> dict[str, Any]:
        """The claims of an access token that was issued for us."""

    async def logout_url(self, id_token: str | None, return_to: str) -> str | None:
        """Where the browser ends its session at the provider, or None if the provider has no such place."""

    async def check_logout_token(self, raw: str) -> tuple[str | None, str | None]:
        """The subject and the provider session (sid) that a back-channel logout ends; one of them may be None."""
