"""Programs with access tokens of the identity provider: what is accepted, as whom, and what is not."""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
from joserfc import jwt
from litestar import Litestar
from sqlalchemy import func, select

from app.db.models import User
from app.domain.permissions import Role
from app.routes.deps import parts_of_app
from app.settings import Settings
from tests.support.issuer import FOREIGN_KEY, ISSUER, KEY, FakeIssuer, make_signing_key
from tests.support.web import assert_problem, make_key, program, web_application

ME = "/api/v1/me"
AUDIENCE = "https://earmark.test/api"


@pytest.fixture
def issuer(monkeypatch: pytest.MonkeyPatch) -> FakeIssuer:
    fake = FakeIssuer()

    async def handle(_: object, request: httpx2.Request) -> httpx2.Response:
        return await fake.answer(request)

    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", handle)
    return fake


@pytest.fixture
async def app(tmp_path: Path, sqlite_dsn: str, issuer: FakeIssuer) -> AsyncIterator[Litestar]:
    settings = Settings(
        data_dir=tmp_path,
        database_url=sqlite_dsn,
        oidc_issuer=ISSUER,
        oidc_client_secret="a-secret-of-the-tests",
        oidc_audience=AUDIENCE,
        oidc_role_map={"importers": Role.UPLOADER},
    )
    async with web_application(settings) as app:
        yield app


def _claims(**changes: Any) -> dict[str, Any]:
    now = int(time.time())
    claims = {"iss": ISSUER, "aud": AUDIENCE, "sub": "robot", "client_id": "importer", "groups": ["importers"]}
    claims |= {"iat": now, "exp": now + 300}
    return {name: value for name, value in {**claims, **changes}.items() if value is not None}


def _token(key: Any = KEY, header: dict[str, Any] | None = None, **changes: Any) -> str:
    return jwt.encode({"alg": "RS256", "kid": "a", "typ": "at+jwt", **(header or {})}, _claims(**changes), key)


async def _ask(app: Litestar, token: str) -> httpx.Response:
    async with program(app, token) as client:
        return await client.get(ME)


async def test_a_program_is_let_in_by_a_token_for_us_and_has_the_role_of_its_claims(app: Litestar):
    for _ in range(2):
        answer = await _ask(app, _token())
        assert answer.json() == {"name": "importer", "role": "uploader", "kind": "user"}
    parts = parts_of_app(app)
    async with parts.store.reading() as uow:
        assert await uow.session.scalar(select(func.count()).select_from(User)) == 1
    assert (await _ask(app, _token(groups=["importers", "reviewer"]))).json()["role"] == "reviewer"
    assert (await _ask(app, _token(aud=["other", AUDIENCE], header={"typ": "JWT"}))).status_code == 200


async def test_keys_of_ours_work_beside_it(app: Litestar):
    assert (await _ask(app, await make_key(parts_of_app(app)))).json()["kind"] == "api_key"
    assert_problem(await _ask(app, "emk_unknown"), 401, "token_refused")


def _signed_with_the_public_key() -> str:
    """By hand: no library does this any more."""
    _, claims, _ = _token().split(".")
    header = urlsafe_b64encode(b'{"alg":"HS256","typ":"at+jwt","kid":"a"}').rstrip(b"=").decode()
    mac = hmac.digest(KEY.as_pem(private=False), f"{header}.{claims}".encode(), "sha256")
    return f"{header}.{claims}.{urlsafe_b64encode(mac).rstrip(b'=').decode()}"


REFUSED = {
    "another issuer": lambda: _token(iss="https://evil.test"),
    "another audience": lambda: _token(aud="earmark"),
    "no audience": lambda: _token(aud=None),
    "expired": lambda: _token(exp=int(time.time()) - 3600),
    "no end": lambda: _token(exp=None),
    "nobody": lambda: _token(sub=None),
    "another key of the same name": lambda: _token(FOREIGN_KEY),
    "a key that nobody knows": lambda: _token(make_signing_key("z"), {"kid": "z"}),
    "the public key as a shared secret": _signed_with_the_public_key,
    "no signature": lambda: _token().rsplit(".", 1)[0] + ".",
    "an ID token": lambda: _token(nonce="n"),
    "a logout token": lambda: _token(header={"typ": "logout+jwt"}),
    "no token": lambda: "a.b.c",
}


@pytest.mark.parametrize("forge", REFUSED.values(), ids=REFUSED)
async def test_no_other_token_is_believed(app: Litestar, forge: Any):
    answer = await _ask(app, forge())
    assert_problem(answer, 401, "token_refused")
    assert answer.headers["www-authenticate"] == 'Bearer realm="earmark", error="invalid_token"'


async def test_none_as_the_algorithm_is_not_believed(app: Litestar):
    unsigned = _token().split(".")
    unsigned[0] = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0"  # {"alg":"none","typ":"at+jwt"}
    assert_problem(await _ask(app, f"{unsigned[0]}.{unsigned[1]}."), 401, "token_refused")


async def test_who_has_no_role_is_known_but_not_let_in(app: Litestar):
    answer = await _ask(app, _token(groups=["strangers"]))
    assert_problem(answer, 403, "sign_in_refused")


async def test_a_role_that_is_too_low_is_told_so(app: Litestar):
    async with program(app, _token(groups=["viewer"])) as client:
        answer = await client.post("/api/v1/uploads", json={"name": "a.mp3", "size_bytes": 9})
    assert_problem(answer, 403, "forbidden")
    assert answer.headers["www-authenticate"] == 'Bearer realm="earmark", error="insufficient_scope"'


async def test_people_behind_tokens_can_make_keys_for_their_programs(app: Litestar):
    async with program(app, _token(sub="una", name="Una")) as una:
        body = {"name": "script", "scopes": ["jobs:read"], "expires_at": "2099-01-01T00:00:00Z"}
        first, again = [
            await una.post("/api/v1/api-keys", json=body, headers={"idempotency-key": "k"}) for _ in range(2)
        ]
        assert (first.status_code, again.status_code) == (201, 201)
        key = first.json()["key"]
        assert (again.json()["api_key"], again.json()["key"]) == (first.json()["api_key"], None)
        assert [entry["name"] for entry in (await una.get("/api/v1/api-keys")).json()] == ["script"]
        async with program(app, key) as script:
            assert (await script.get("/api/v1/jobs")).status_code == 200
            assert_problem(await script.post("/api/v1/batches", json={"name": "a"}), 403, "forbidden")
            assert_problem(await script.get("/api/v1/api-keys"), 403, "forbidden")
        assert (await una.delete(f"/api/v1/api-keys/{first.json()['api_key']['id']}")).status_code == 204
        assert_problem(await _ask(app, key), 401, "token_refused")


# --- tokens that are no JWT


async def test_an_opaque_token_is_asked_about_and_remembered_for_a_while(app: Litestar, issuer: FakeIssuer):
    issuer.introspection = {"active": True, **_claims()}
    for _ in range(3):
        assert (await _ask(app, "opaque")).json()["name"] == "importer"
    assert issuer.introspected == ["token=opaque&token_type_hint=access_token"]


@pytest.mark.parametrize(
    "changes",
    [
        {"active": False},
        {"active": "true"},
        {"aud": "other"},
        {"aud": None},
        {"iss": "https://evil.test"},
        {"exp": 1},
        {"sub": None, "client_id": None},
    ],
)
async def test_an_opaque_token_that_nobody_vouches_for_is_refused(
    app: Litestar, issuer: FakeIssuer, changes: dict[str, Any]
):
    issuer.introspection = {"active": True, **_claims(), **changes}
    assert_problem(await _ask(app, "opaque"), 401, "token_refused")


async def test_while_the_provider_is_away_its_tokens_are_not_judged(app: Litestar, monkeypatch: pytest.MonkeyPatch):
    async def away(_: object, request: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("away", request=request)

    monkeypatch.setattr(httpx2.AsyncHTTPTransport, "handle_async_request", away)
    assert_problem(await _ask(app, "opaque"), 503, "unavailable")
    assert_problem(await _ask(app, _token()), 503, "unavailable")
