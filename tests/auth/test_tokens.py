"""What an identity provider's tokens must be like: forged, foreign, stale and replayed ones are refused."""

from __future__ import annotations

import base64
import json
import time
from typing import Any

import httpx2
import pytest
from joserfc import jwt
from joserfc.jwk import OctKey, RSAKey

from app.integrations.oidc import AuthorizationRequest, OidcRefused, OidcUnreachable
from app.integrations.oidc_provider import Provider
from tests.support.issuer import FOREIGN_KEY, ISSUER, KEY, NEW_KEY, FakeIssuer

STARTED = AuthorizationRequest("", "the-state", "the-nonce", "the-verifier")
REDIRECT = "https://earmark.test/sign-in/callback"
LOGOUT_EVENT = {"http://schemas.openid.net/event/backchannel-logout": {}}


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> FakeIssuer:
    fake = FakeIssuer()

    async def handle(_: object, request: httpx2.Request) -> httpx2.Response:
        return await fake.answer(request)

    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", handle)
    return fake


def _provider(cooldown_s: float = 0.0) -> Provider:
    return Provider(ISSUER, client_id="earmark", client_secret="secret", scopes="openid", key_cooldown_s=cooldown_s)


def id_claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": "earmark", "sub": "rita", "nonce": "the-nonce", "exp": now + 60, "iat": now}
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def logout_claims(**changes: Any) -> dict[str, Any]:
    claims = {
        "iss": ISSUER,
        "aud": "earmark",
        "sub": "rita",
        "sid": "s1",
        "iat": int(time.time()),
        "jti": "j1",
        "events": LOGOUT_EVENT,
    }
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def signed(claims: dict[str, Any], key: RSAKey = KEY, **header: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": key.kid, **header}, claims, key)


async def finish(provider: Provider, **query: str) -> dict[str, Any]:
    answer = {"code": "c", "state": "the-state", "iss": ISSUER, **query}
    found = await provider.finish(
        {name: value for name, value in answer.items() if value},
        started=STARTED,
        redirect_uri=REDIRECT,
        wanted_claims=(),
    )
    return found.claims


async def test_a_good_token_is_believed(issuer: FakeIssuer):
    issuer.id_token = signed(id_claims())
    assert (await finish(_provider()))["sub"] == "rita"


def _named(claims: dict[str, object]) -> str:
    """The test's name says which claim is wrong, but no time of day: it is the same in every process."""
    return ",".join(
        f"{name}={'old' if name in ('exp', 'iat') and value else value!r}" for name, value in claims.items()
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.test"},
        {"iss": None},
        {"aud": "somebody-else"},
        {"aud": ["earmark", "other"], "azp": "other"},
        {"aud": None},
        {"nonce": "another"},
        {"nonce": None},
        {"exp": int(time.time()) - 120},
        {"exp": None},
        {"sub": None},
        {"at_hash": "AAAA"},
    ],
    ids=_named,
)
async def test_a_token_that_is_not_for_this_sign_in_is_refused(issuer: FakeIssuer, changes: dict[str, Any]):
    issuer.id_token = signed(id_claims(**changes))
    with pytest.raises(OidcRefused):
        await finish(_provider())


@pytest.mark.parametrize(
    "query", [{"state": "x"}, {"state": ""}, {"iss": "https://evil.test"}, {"iss": ""}, {"code": ""}]
)
async def test_an_answer_that_is_not_for_this_sign_in_is_refused(issuer: FakeIssuer, query: dict[str, str]):
    issuer.id_token = signed(id_claims())
    with pytest.raises(OidcRefused):
        await finish(_provider(), **query)


def _unsigned(claims: dict[str, Any]) -> str:
    parts = ({"alg": "none", "kid": "a"}, claims)
    return ".".join(base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts) + "."


def _signed_with_the_public_key(claims: dict[str, Any]) -> str:
    secret = OctKey.import_key({"kty": "oct", "k": base64.urlsafe_b64encode(b"p" * 64).rstrip(b"=").decode()})
    return jwt.encode({"alg": "HS256", "kid": "a"}, claims, secret)


@pytest.mark.parametrize(
    "forge",
    [
        lambda claims: signed(claims, FOREIGN_KEY),
        lambda claims: signed(claims, NEW_KEY),
        lambda claims: signed(claims)[:-8] + "AAAAAAAA",
        _unsigned,
        _signed_with_the_public_key,
        lambda _: "a.b.c",
        lambda _: "nothing",
    ],
    ids=["foreign key", "unknown key", "changed signature", "unsigned", "symmetric", "garbage", "no token"],
)
async def test_a_forged_token_is_refused(issuer: FakeIssuer, forge):
    issuer.id_token = forge(id_claims())
    with pytest.raises(OidcRefused):
        await finish(_provider())


async def test_rotated_keys_are_fetched_anew(issuer: FakeIssuer):
    provider = _provider()
    issuer.id_token = signed(id_claims())
    await finish(provider)
    issuer.keys = [NEW_KEY]
    issuer.id_token = signed(id_claims(), NEW_KEY)
    assert (await finish(provider))["sub"] == "rita"
    assert issuer.key_requests == 2
    issuer.id_token = signed(id_claims())
    with pytest.raises(OidcRefused):
        await finish(provider)


async def test_tokens_with_unknown_keys_do_not_make_us_ask_again_and_again(issuer: FakeIssuer):
    provider = _provider(cooldown_s=3600)
    issuer.id_token = signed(id_claims(), NEW_KEY)
    for _ in range(5):
        with pytest.raises(OidcRefused):
            await finish(provider)
    assert issuer.key_requests == 1


async def test_a_provider_that_calls_itself_otherwise_is_refused(issuer: FakeIssuer):
    issuer.metadata["issuer"] = f"{ISSUER}/"
    with pytest.raises(OidcRefused, match="calls itself"):
        await _provider().start(REDIRECT)


@pytest.mark.parametrize("metadata", [{"issuer": ISSUER}, {}, {"issuer": 5}])
async def test_metadata_that_lack_something_are_no_metadata(issuer: FakeIssuer, metadata: dict[str, Any]):
    issuer.metadata = metadata
    with pytest.raises(OidcUnreachable):
        await _provider().start(REDIRECT)


async def test_a_provider_out_of_reach(monkeypatch: pytest.MonkeyPatch):
    async def handle(_: object, request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("no route", request=request)

    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", handle)
    with pytest.raises(OidcUnreachable):
        await _provider().start(REDIRECT)


async def test_a_logout_token_names_whom_it_is_about(issuer: FakeIssuer):
    provider = _provider()
    assert await provider.check_logout_token(signed(logout_claims(), typ="logout+jwt")) == ("rita", "s1")
    assert await provider.check_logout_token(signed(logout_claims(jti="j2", sid=None))) == ("rita", None)


async def test_a_logout_token_works_once(issuer: FakeIssuer):
    provider = _provider()
    await provider.check_logout_token(signed(logout_claims()))
    with pytest.raises(OidcRefused, match="before"):
        await provider.check_logout_token(signed(logout_claims()))


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://evil.test"},
        {"aud": "somebody-else"},
        {"events": {}},
        {"events": None},
        {"events": "all"},
        {"nonce": "the-nonce"},
        {"sub": None, "sid": None},
        {"jti": None},
        {"iat": int(time.time()) - 3600},
        {"iat": None},
    ],
    ids=_named,
)
async def test_what_is_no_logout_token_is_refused(issuer: FakeIssuer, changes: dict[str, Any]):
    with pytest.raises(OidcRefused):
        await _provider().check_logout_token(signed(logout_claims(**changes)))


async def test_an_id_token_is_no_logout_token(issuer: FakeIssuer):
    with pytest.raises(OidcRefused):
        await _provider().check_logout_token(signed(id_claims()))
