"""OpenID Connect, relying party: code flow with PKCE, state and nonce; ID tokens checked against the provider's keys.

Specifications: OpenID Connect Core 1.0, Discovery 1.0, RP-Initiated Logout 1.0, Back-Channel Logout 1.0, RFC 9207.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import httpx2
import msgspec
from authlib.common.security import generate_token
from authlib.integrations.httpx_client import AsyncOAuth2Client, OAuthError
from authlib.oidc.core.util import create_half_hash
from joserfc import jwt
from joserfc.errors import BadSignatureError, InvalidKeyIdError, JoseError
from joserfc.jwk import KeySet
from joserfc.jws import JWSRegistry

from app.integrations.oidc import Authenticated, AuthorizationRequest, IdentityProvider, OidcRefused, OidcUnreachable

# Asymmetric ones only: with "none" or HS256 anybody who knows the public key could sign.
_ALGORITHMS = ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "Ed25519"]
_HTTP_TIMEOUT_S = 10.0
_LEEWAY_S = 60
_METADATA_LIFETIME_S = 3600.0
_LOGOUT_TOKEN_LIFETIME_S = 300
_LOGOUT_EVENT = "http://schemas.openid.net/event/backchannel-logout"
_LOGOUT_TYPES = frozenset({"logout+jwt", "jwt"})
_ACCESS_TYPES = frozenset({"at+jwt", "jwt"})
_JWT_DOTS = 2
_INTROSPECTION_LIFETIME_S = 30.0


class Metadata(msgspec.Struct, frozen=True):
    """What the provider says of itself, as far as it is used here."""

    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None = None
    end_session_endpoint: str | None = None
    introspection_endpoint: str | None = None
    authorization_response_iss_parameter_supported: bool = False
    token_endpoint_auth_methods_supported: list[str] = msgspec.field(default_factory=lambda: ["client_secret_basic"])


@asynccontextmanager
async def _provider_trouble() -> AsyncIterator[None]:
    """Everything that can go wrong on the way to the provider, as one of our two errors."""
    try:
        yield
    except httpx2.HTTPError as error:
        raise OidcUnreachable(repr(error)) from error
    except msgspec.MsgspecError as error:
        raise OidcUnreachable(f"unreadable answer: {error}") from error
    except (OAuthError, JoseError) as error:
        raise OidcRefused(repr(error)) from error


def _kind(token: jwt.Token) -> str:
    return str(token.header.get("typ", "JWT")).lower().removeprefix("application/")


class Provider(IdentityProvider):
    """Its metadata and keys are fetched at first use, and again when they are old or don't fit."""

    def __init__(
        self, issuer: str, *, client_id: str, client_secret: str | None, scopes: str, key_cooldown_s: float = 10.0
    ) -> None:
        self.issuer = issuer
        self._client_id = client_id
        self._client_secret = client_secret
        self._scopes = scopes
        self._key_cooldown_s = key_cooldown_s
        self._lock = asyncio.Lock()
        self._metadata: Metadata | None = None
        self._metadata_at_s = 0.0
        self._keys: KeySet | None = None
        self._keys_at_s = 0.0
        self._seen_logout_ids: dict[str, float] = {}
        self._introspections: dict[str, tuple[dict[str, Any], float]] = {}

    # --- what the provider publishes

    async def metadata(self) -> Metadata:
        async with self._lock:
            if self._metadata is None or time.monotonic() - self._metadata_at_s > _METADATA_LIFETIME_S:
                found = msgspec.json.decode(
                    await self._fetch(self.issuer.rstrip("/") + "/.well-known/openid-configuration"), type=Metadata
                )
                if found.issuer != self.issuer:
                    raise OidcRefused(f"the provider calls itself {found.issuer!r}, not {self.issuer!r}")
                self._metadata, self._metadata_at_s = found, time.monotonic()
            return self._metadata

    async def _fetch(self, url: str) -> bytes:
        async with httpx2.AsyncClient(timeout=_HTTP_TIMEOUT_S, follow_redirects=False) as client:
            response = await client.get(url, headers={"Accept": "application/json"})
            return response.raise_for_status().content

    async def _key_set(self, *, renew: bool = False) -> KeySet:
        """The provider's keys. They are not renewed more often than the cool-down allows, whatever tokens come in."""
        url = (await self.metadata()).jwks_uri
        async with self._lock:
            cooled = time.monotonic() - self._keys_at_s > self._key_cooldown_s
            if self._keys is None or (renew and cooled):
                self._keys = KeySet.import_key_set(msgspec.json.decode(await self._fetch(url)))
                self._keys_at_s = time.monotonic()
            return self._keys

    async def _decode(self, token: str) -> jwt.Token:
        """Check the signature. A provider that has rotated its keys signs with one not seen before."""
        registry = JWSRegistry(algorithms=_ALGORITHMS, strict_check_header=False)
        try:
            return jwt.decode(token, await self._key_set(), registry=registry)
        except (InvalidKeyIdError, BadSignatureError):
            return jwt.decode(token, await self._key_set(renew=True), registry=registry)

    # --- signing in

    async def _client(self, redirect_uri: str | None = None) -> AsyncOAuth2Client:
        methods = (await self.metadata()).token_endpoint_auth_methods_supported
        secret_method = "client_secret_basic" if "client_secret_basic" in methods else "client_secret_post"
        return AsyncOAuth2Client(
            self._client_id,
            self._client_secret,
            scope=self._scopes,
            redirect_uri=redirect_uri,
            code_challenge_method="S256",
            timeout=_HTTP_TIMEOUT_S,
            token_endpoint_auth_method=secret_method if self._client_secret else "none",
        )

    async def start(self, redirect_uri: str) -> AuthorizationRequest:
        nonce, verifier = generate_token(32), generate_token(64)
        async with _provider_trouble():
            endpoint = (await self.metadata()).authorization_endpoint
            async with await self._client(redirect_uri) as client:
                url, state = client.create_authorization_url(endpoint, nonce=nonce, code_verifier=verifier)
        return AuthorizationRequest(url, state, nonce, verifier)

    async def finish(
        self,
        query: Mapping[str, str],
        *,
        started: AuthorizationRequest,
        redirect_uri: str,
        wanted_claims: Collection[str],
    ) -> Authenticated:
        async with _provider_trouble():
            code = await self._checked_code(query, started.state)
            async with await self._client(redirect_uri) as client:
                token = await client.fetch_token(
                    (await self.metadata()).token_endpoint,
                    code=code,
                    code_verifier=started.code_verifier,
                    grant_type="authorization_code",
                )
            id_token = token.get("id_token")
            if not isinstance(id_token, str):
                raise OidcRefused("the provider sent no ID token")
            claims = await self._check_id_token(id_token, started.nonce, token.get("access_token"))
            if any(name not in claims for name in wanted_claims):
                claims = {**await self._userinfo(token, claims["sub"]), **claims}
        return Authenticated(claims, id_token)

    async def _checked_code(self, query: Mapping[str, str], state: str) -> str:
        if not hmac.compare_digest(query.get("state", "").encode(), state.encode()):
            raise OidcRefused("the state is not the one sent")
        metadata = await self.metadata()
        if metadata.authorization_response_iss_parameter_supported and query.get("iss") != self.issuer:
            raise OidcRefused(f"the answer comes from {query.get('iss')!r}")
        if "error" in query:
            raise OidcRefused(f"the provider says {query['error']!r}: {query.get('error_description')!r}")
        if not query.get("code"):
            raise OidcRefused("no code")
        return query["code"]

    async def _check_id_token(self, raw: str, nonce: str, access_token: str | None) -> dict[str, Any]:
        token = await self._decode(raw)
        claims: dict[str, Any] = token.claims
        jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self._client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            nonce={"essential": True, "value": nonce},
        ).validate(claims)
        audience = claims["aud"]
        if isinstance(audience, list) and len(audience) > 1 and claims.get("azp") != self._client_id:
            raise OidcRefused("the ID token was issued to somebody else (azp)")
        if "at_hash" in claims and access_token:
            expected = create_half_hash(access_token, token.header["alg"])
            if (expected.decode() if isinstance(expected, bytes) else expected) != claims["at_hash"]:
                raise OidcRefused("the access token does not belong to the ID token")
        return claims

    async def _userinfo(self, token: dict[str, Any], subject: str) -> dict[str, Any]:
        url = (await self.metadata()).userinfo_endpoint
        if url is None:
            return {}
        headers = {"Authorization": f"Bearer {token['access_token']}", "Accept": "application/json"}
        async with httpx2.AsyncClient(timeout=_HTTP_TIMEOUT_S) as client:
            response = (await client.get(url, headers=headers)).raise_for_status()
        claims = msgspec.json.decode(response.content, type=dict[str, Any])
        if claims.get("sub") != subject:
            raise OidcRefused("userinfo is about somebody else")
        return claims

    # --- programs with access tokens

    async def check_access_token(self, raw: str, audience: str) -> dict[str, Any]:
        """By its signature (RFC 9068), else by asking (RFC 7662)."""
        async with _provider_trouble():
            if raw.count(".") == _JWT_DOTS:
                return await self._claims_of_jwt(raw, audience)
            return await self._introspected(raw, audience)

    async def _claims_of_jwt(self, raw: str, audience: str) -> dict[str, Any]:
        token = await self._decode(raw)
        claims: dict[str, Any] = token.claims
        jwt.JWTClaimsRegistry(
            leeway=_LEEWAY_S,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            sub={"essential": True},
        ).validate(claims)
        # ID tokens and logout tokens carry the same signature.
        if _kind(token) not in _ACCESS_TYPES or "nonce" in claims or "events" in claims:
            raise OidcRefused("not an access token")
        return claims

    async def _introspected(self, raw: str, audience: str) -> dict[str, Any]:
        """Asked again after a while, so that a token that was revoked is not believed for long."""
        key, now = hashlib.sha256(raw.encode()).hexdigest(), time.monotonic()
        self._introspections = {known: entry for known, entry in self._introspections.items() if entry[1] > now}
        if key not in self._introspections:
            claims = await self._introspect(raw, audience)
            self._introspections[key] = (claims, now + _INTROSPECTION_LIFETIME_S)
        claims, _ = self._introspections[key]
        if claims.get("exp", time.time() + 1) <= time.time():
            raise OidcRefused("the access token has expired")
        return claims

    async def _introspect(self, raw: str, audience: str) -> dict[str, Any]:
        endpoint = (await self.metadata()).introspection_endpoint
        if endpoint is None:
            raise OidcRefused("the access token is no JWT, and the provider has no place to ask about it")
        credentials = (quote(self._client_id, safe=""), quote(self._client_secret or "", safe=""))
        async with httpx2.AsyncClient(timeout=_HTTP_TIMEOUT_S, auth=credentials) as client:
            response = await client.post(endpoint, data={"token": raw, "token_type_hint": "access_token"})
        claims = msgspec.json.decode(response.raise_for_status().content, type=dict[str, Any])
        audiences = claims.get("aud")
        meant_for_us = audience in (audiences if isinstance(audiences, list) else [audiences])
        if claims.get("active") is not True or not meant_for_us or claims.get("iss", self.issuer) != self.issuer:
            raise OidcRefused("the provider does not vouch for the access token")
        subject = claims.get("sub") or claims.get("client_id")
        if not subject:
            raise OidcRefused("the access token is nobody's")
        return {**claims, "sub": subject}

    # --- signing out

    async def logout_url(self, id_token: str | None, return_to: str) -> str | None:
        async with _provider_trouble():
            endpoint = (await self.metadata()).end_session_endpoint
        if endpoint is None:
            return None
        parameters = {"client_id": self._client_id, "post_logout_redirect_uri": return_to}
        if id_token is not None:
            parameters["id_token_hint"] = id_token
        return str(httpx2.URL(endpoint).copy_merge_params(parameters))

    async def check_logout_token(self, raw: str) -> tuple[str | None, str | None]:
        async with _provider_trouble():
            token = await self._decode(raw)
            jwt.JWTClaimsRegistry(
                leeway=_LEEWAY_S,
                iss={"essential": True, "value": self.issuer},
                aud={"essential": True, "value": self._client_id},
                iat={"essential": True},
                jti={"essential": True},
            ).validate(token.claims)
        claims: dict[str, Any] = token.claims
        if _kind(token) not in _LOGOUT_TYPES or "nonce" in claims or _LOGOUT_EVENT not in claims.get("events", {}):
            raise OidcRefused("not a logout token")
        if not (claims.get("sub") or claims.get("sid")):
            raise OidcRefused("the logout token names nobody")
        if abs(time.time() - claims["iat"]) > _LOGOUT_TOKEN_LIFETIME_S:
            raise OidcRefused("the logout token is too old")
        self._refuse_replay(str(claims["jti"]))
        return claims.get("sub"), claims.get("sid")

    def _refuse_replay(self, token_id: str) -> None:
        """Within this process; where there are several, a token works once in each, which ends no more than it named."""
        now = time.monotonic()
        self._seen_logout_ids = {known: until for known, until in self._seen_logout_ids.items() if until > now}
        if token_id in self._seen_logout_ids:
            raise OidcRefused("the logout token was used before")
        self._seen_logout_ids[token_id] = now + 2 * _LOGOUT_TOKEN_LIFETIME_S
