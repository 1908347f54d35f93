"""Complete sign-ins and sign-outs at two real identity providers."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest
from litestar import Litestar
from structlog.testing import capture_logs

from app.routes.deps import WebParts, parts_of_app
from app.services.accounts import session_of
from app.settings import Settings
from tests.support.web import assert_problem

ME = "/api/v1/me"
# What each of the tests' people has at the provider; the certified one knows it by itself.
PEOPLE = {"rita": ["curators"], "adam": ["operators", "curators"], "nora": []}


@pytest.fixture
async def person(oidc_app: Litestar, oidc_settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(base_url=oidc_settings.base_url, headers={"accept": "text/html"}) as client:
        yield client


@pytest.fixture
def oidc_parts(oidc_app: Litestar) -> WebParts:
    return parts_of_app(oidc_app)


def _form(answer: httpx.Response) -> tuple[str, dict[str, str]]:
    action = re.search(r'<form[^>]*action="([^"]*)"', answer.text)
    fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]*)"', answer.text))
    return urljoin(str(answer.url), action[1] if action else ""), fields


async def _sign_in_at_mock(client: httpx.AsyncClient, authorize: str, name: str) -> httpx.Response:
    parts = urlsplit(authorize)
    claims = {"name": f"{name} of the tests", "email": f"{name}@example.com", "groups": PEOPLE[name]}
    await client.put(f"{parts.scheme}://{parts.netloc}/users/{name}", json=claims)
    return await client.post(authorize, data={"sub": name})


async def _sign_in_at_certified(client: httpx.AsyncClient, authorize: str, name: str) -> httpx.Response:
    answer = await client.get(authorize, follow_redirects=True)
    address, fields = _form(answer)
    answer = await client.post(address, data={**fields, "login": name, "password": "any"}, follow_redirects=True)
    address, fields = _form(answer)  # consent
    answer = await client.post(address, data=fields)
    while urlsplit(answer.headers["location"]).path != "/sign-in/callback":
        answer = await client.get(urljoin(str(answer.url), answer.headers["location"]))
    return answer


async def to_callback(client: httpx.AsyncClient, name: str, next_path: str = "/") -> str:
    """Go from our sign-in through the provider's; returns the address that the provider sends the browser to."""
    answer = await client.get("/sign-in/start", params={"next": next_path})
    authorize = answer.headers["location"]
    at_provider = _sign_in_at_mock if "/oauth2/authorize" in authorize else _sign_in_at_certified
    return (await at_provider(client, authorize, name)).headers["location"]


async def sign_in(client: httpx.AsyncClient, name: str, next_path: str = "/") -> httpx.Response:
    return await client.get(await to_callback(client, name, next_path))


async def test_a_complete_sign_in(person: httpx.AsyncClient):
    answer = await sign_in(person, "rita", "/jobs?state=done")
    assert (answer.status_code, answer.headers["location"]) == (303, "/jobs?state=done")
    assert (await person.get(ME)).json() == {"name": "rita of the tests", "role": "reviewer", "kind": "user"}


async def test_the_highest_of_several_roles_counts(person: httpx.AsyncClient):
    await sign_in(person, "adam")
    assert (await person.get(ME)).json()["role"] == "admin"


async def test_without_a_role_nobody_gets_in(person: httpx.AsyncClient):
    with capture_logs() as lines:
        answer = await sign_in(person, "nora")
    assert answer.status_code == 403
    assert "account has no access" in answer.text
    assert_problem(await person.get(ME, headers={"accept": "*/*"}), 401, "unauthenticated")
    assert [line["reason"] for line in lines if line["event"] == "sign-in refused"] == ["no role"]


async def test_the_request_to_the_provider_is_bound_to_the_browser(person: httpx.AsyncClient, oidc_settings: Settings):
    answer = await person.get("/sign-in/start")
    query = parse_qs(urlsplit(answer.headers["location"]).query)
    assert query["redirect_uri"] == [f"{oidc_settings.base_url}/sign-in/callback"]
    assert query["code_challenge_method"] == ["S256"]
    assert len(query["code_challenge"][0]) == 43
    assert query["state"][0]
    assert query["nonce"][0]
    cookie = answer.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    assert "samesite=lax" in cookie.lower()


async def test_a_callback_works_once(person: httpx.AsyncClient):
    callback = await to_callback(person, "rita")
    attempt = person.cookies["earmark-sign-in"]
    assert (await person.get(callback)).status_code == 303
    person.cookies.clear()
    person.cookies.set("earmark-sign-in", attempt, domain="127.0.0.1")
    assert (await person.get(callback)).status_code == 403


async def test_a_callback_of_another_browser_is_refused(person: httpx.AsyncClient, oidc_settings: Settings):
    callback = await to_callback(person, "rita")
    async with httpx.AsyncClient(base_url=oidc_settings.base_url) as victim:
        assert_problem(await victim.get(callback), 403, "sign_in_refused")
        await victim.get("/sign-in/start")
        assert_problem(await victim.get(callback), 403, "sign_in_refused")
        assert_problem(await victim.get(ME), 401, "unauthenticated")


@pytest.mark.parametrize("changed", ["state", "code", "error"])
async def test_a_changed_callback_is_refused_with_plain_words(person: httpx.AsyncClient, changed: str):
    callback = await to_callback(person, "rita")
    with capture_logs() as lines:
        answer = await person.get(str(httpx.URL(callback).copy_set_param(changed, "forged-value")))
    assert answer.status_code == 403
    assert "Sign-in was not possible" in answer.text
    assert "forged-value" not in answer.text.split("<main")[1]
    # There is no Redis beside these tests, which the live events say once, at a time of their own.
    told = [line["event"] for line in lines if line["event"] not in {"request", "unreachable"}]
    assert told == ["sign-in refused"]


async def test_a_sign_in_ends_the_session_before_it(person: httpx.AsyncClient, oidc_parts: WebParts):
    await sign_in(person, "rita")
    first = person.cookies["earmark-session"]
    callback = await to_callback_anew(person)
    answer = await person.get(callback, headers={"cookie": f"earmark-session={first}; {attempt_of(person)}"})
    assert answer.status_code == 303
    second = re.search(r"earmark-session=([^;]+)", answer.headers["set-cookie"])
    assert second
    assert second[1] != first
    async with oidc_parts.store.reading() as uow:
        assert await session_of(uow, first) is None
        assert await session_of(uow, second[1]) is not None


def attempt_of(client: httpx.AsyncClient) -> str:
    return f"earmark-sign-in={client.cookies['earmark-sign-in']}"


async def to_callback_anew(client: httpx.AsyncClient) -> str:
    """Without the provider's own session, so that it asks for name and consent again."""
    client.cookies.clear()
    return await to_callback(client, "rita")


async def _csrf_token(client: httpx.AsyncClient) -> str:
    found = re.search(r'name="csrf-token" content="([0-9a-f]{64})"', (await client.get("/docs")).text)
    assert found
    return found[1]


async def test_signing_out_ends_the_session_here_and_at_the_provider(person: httpx.AsyncClient, issuer: str):
    await sign_in(person, "rita")
    session = person.cookies["earmark-session"]
    answer = await person.post("/sign-out", data={"_csrf_token": await _csrf_token(person)})
    target = urlsplit(answer.headers["location"])
    assert answer.status_code == 303
    assert f"{target.scheme}://{target.netloc}" == issuer
    assert "id_token_hint" in parse_qs(target.query)
    assert "earmark-session" not in person.cookies
    person.cookies.set("earmark-session", session, domain="127.0.0.1")
    assert_problem(await person.get(ME, headers={"accept": "*/*"}), 401, "unauthenticated")
    page = await person.get(answer.headers["location"], follow_redirects=True)
    address, fields = _form(page)
    back = await person.post(address, data={**fields, "logout": "yes"})
    while "127.0.0.1" in back.headers["location"] and urlsplit(back.headers["location"]).path != "/sign-in":
        back = await person.get(back.headers["location"])
    assert urlsplit(back.headers["location"]).path == "/sign-in"


async def test_neither_codes_nor_tokens_are_logged(person: httpx.AsyncClient):
    with capture_logs() as lines:
        callback = await to_callback(person, "rita")
        await person.get(callback)
        await person.post("/sign-out", data={"_csrf_token": await _csrf_token(person)})
    written = f"{lines}"
    secrets = [value for name, [value, *_] in parse_qs(urlsplit(callback).query).items() if name in {"code", "state"}]
    assert len(secrets) == 2
    for secret in secrets:
        assert secret not in written
    assert "id_token" not in written


async def test_the_provider_ends_sessions_by_itself(
    person: httpx.AsyncClient, oidc_settings: Settings, oidc_parts: WebParts, request: pytest.FixtureRequest
):
    """Back-channel logout: somebody signs out at the certified provider, and our session ends without a browser."""
    if request.node.callspec.params["issuer"] == "mock":  # it knows no back channel
        answer = await person.post(
            "/sign-in/backchannel-logout", data={"logout_token": "forged"}, headers={"accept": "*/*"}
        )
        assert_problem(answer, 400, "request_malformed")
        return
    await sign_in(person, "rita")
    session = person.cookies["earmark-session"]
    page = await person.get(f"{oidc_settings.oidc_issuer}/session/end")
    address, fields = _form(page)
    await person.post(address, data={**fields, "logout": "yes"}, follow_redirects=True)
    async with asyncio.timeout(20):
        while await _lives(oidc_parts, session):  # noqa: ASYNC110  the provider calls when it likes
            await asyncio.sleep(0.02)
    assert_problem(await person.get(ME, headers={"accept": "*/*"}), 401, "unauthenticated")


async def _lives(parts: WebParts, session: str) -> bool:
    async with parts.store.reading() as uow:
        return await session_of(uow, session) is not None
