"""Local mode: one person, let in by a link, and only from this machine."""

from __future__ import annotations

import httpx
import pytest
from litestar import Litestar
from sqlalchemy import select
from structlog.testing import capture_logs

from app.db.models import AuditEntry
from app.domain.permissions import Role
from app.routes.auth import safe_next
from app.routes.deps import WebParts
from app.services import accounts, api_keys
from app.settings import Settings
from tests.support.portal import new_app, running
from tests.support.web import BASE_URL, assert_problem, browser, make_key, program, sign_in_locally

ME = "/api/v1/me"


async def _link(parts: WebParts) -> str:
    async with parts.store.writing() as uow:
        return f"/sign-in/{await accounts.create_sign_in_link(uow)}"


async def test_a_link_signs_in_once(visitor: httpx.AsyncClient, parts: WebParts):
    link = await _link(parts)
    answer = await visitor.get(link)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert (await visitor.get(ME)).json()["role"] == "admin"
    visitor.cookies.clear()
    assert (await visitor.get(link)).status_code == 403


async def test_a_sign_in_is_in_the_audit_log(visitor: httpx.AsyncClient, parts: WebParts):
    await visitor.get(await _link(parts))
    async with parts.store.reading() as uow:
        [entry] = await uow.session.scalars(select(AuditEntry).where(AuditEntry.action == "user.sign_in"))
    assert (entry.actor, entry.target_id, entry.details) == (
        "Local administrator",
        str(entry.user_id),
        {"role": "admin"},
    )


async def test_looking_at_a_link_does_not_use_it_up(visitor: httpx.AsyncClient, parts: WebParts):
    link = await _link(parts)
    assert (await visitor.head(link)).status_code == 405
    assert (await visitor.get(link)).status_code == 303


async def test_a_link_is_not_written_to_the_log(visitor: httpx.AsyncClient, parts: WebParts):
    link = await _link(parts)
    with capture_logs() as lines:
        await visitor.get(link)
        await visitor.get(link)
    assert {line["path"] for line in lines if line["event"] == "request"} == {"/sign-in/…"}
    assert link.rsplit("/", 1)[1] not in f"{lines}"


async def test_the_cookie_is_for_this_browser_alone(visitor: httpx.AsyncClient, parts: WebParts):
    cookie = (await visitor.get(await _link(parts))).headers["set-cookie"].lower()
    assert cookie.startswith("earmark-session=")
    for attribute in ("httponly", "samesite=lax", "path=/", "max-age=43200"):
        assert attribute in cookie
    assert "secure" not in cookie


async def test_behind_https_the_cookie_is_bound_to_the_host(settings: Settings):
    app = await new_app(settings.model_copy(update={"public_url": "https://earmark.test"}))
    async with running(app), browser(app) as client:
        answer = await client.get(await _link(app.state.parts), headers={"host": "earmark.test"})
    cookie = answer.headers["set-cookie"].lower()
    assert cookie.startswith("__host-earmark-session=")
    assert "secure" in cookie
    assert "domain" not in cookie
    assert answer.headers["strict-transport-security"]


@pytest.mark.parametrize("host", ["localhost:8080", "127.0.0.1", "[::1]:8080"])
async def test_this_machines_names_are_answered(visitor: httpx.AsyncClient, host: str):
    assert (await visitor.get("/health/live", headers={"host": host})).status_code == 200


@pytest.mark.parametrize("host", ["evil.test", "127.0.0.1.evil.test", "localhost@evil.test", "[", ""])
async def test_no_other_name_is(app: Litestar, parts: WebParts, host: str):
    """A web site that makes its name point to this machine reads nothing here."""
    async with program(app, await make_key(parts)) as client:
        for path in ("/health/live", ME, "/sign-in", "/openapi.json"):
            assert_problem(await client.get(path, headers={"host": host}), 403, "host_refused")


async def test_signing_out(visitor: httpx.AsyncClient, parts: WebParts):
    await sign_in_locally(parts, visitor)
    token = (await visitor.get("/docs")).text.split('name="csrf-token" content="')[1][:64]
    answer = await visitor.post("/sign-out", data={"_csrf_token": token})
    assert (answer.status_code, answer.headers["location"]) == (303, f"{BASE_URL}/sign-in")
    assert "earmark-session" not in visitor.cookies
    assert_problem(await visitor.get(ME), 401, "unauthenticated")


async def test_there_is_no_provider_to_go_to(visitor: httpx.AsyncClient):
    for path in ("/sign-in/start", "/sign-in/callback?code=1&state=2"):
        assert (await visitor.get(path)).status_code in {403, 404}


async def test_pages_send_to_the_sign_in_and_back(visitor: httpx.AsyncClient, parts: WebParts):
    answer = await visitor.get("/jobs?state=done")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Fjobs%3Fstate%3Ddone")
    page = await visitor.get(answer.headers["location"])
    assert page.status_code == 200
    await sign_in_locally(parts, visitor)
    assert (await visitor.get(answer.headers["location"])).headers["location"] == "/jobs?state=done"


async def test_a_part_of_a_page_sends_the_whole_page_to_the_sign_in(visitor: httpx.AsyncClient):
    answer = await visitor.get("/jobs", headers={"hx-request": "true"})
    assert (answer.status_code, answer.headers["hx-redirect"], answer.content) == (401, "/sign-in", b"")


@pytest.mark.parametrize("role", list(Role))
async def test_keys_are_for_the_api_alone(app: Litestar, parts: WebParts, role: Role):
    async with program(app, await make_key(parts, role)) as client:
        assert (await client.get(ME)).json() == {"name": "tester", "role": role, "kind": "api_key"}
        assert_problem(await client.get("/jobs"), 401, "unauthenticated")


@pytest.mark.parametrize("authorization", ["Bearer emk_wrong", "Bearer", "Basic YTpi", "emk_x", "Bearer  "])
async def test_wrong_credentials_are_not_saved_by_a_good_cookie(
    visitor: httpx.AsyncClient, parts: WebParts, authorization: str
):
    await sign_in_locally(parts, visitor)
    answer = await visitor.get(ME, headers={"authorization": authorization})
    assert_problem(answer, 401, "token_refused")
    assert answer.headers["www-authenticate"] == 'Bearer realm="earmark", error="invalid_token"'


async def test_a_revoked_key_is_worthless_and_use_is_noted(app: Litestar, parts: WebParts):
    async with program(app, await make_key(parts)) as client:
        await client.get(ME)
        async with parts.store.writing() as uow:
            [key] = await api_keys.list_api_keys(uow)
            assert key.created_at
            await api_keys.revoke_api_key(uow, "tester")
        assert_problem(await client.get(ME), 401, "token_refused")


@pytest.mark.parametrize("path", ["/", "/jobs", "/jobs?a=b&c=%2F", "/jobs/1#top"])
def test_a_path_of_our_own_is_kept(path: str):
    assert safe_next(path) == path


@pytest.mark.parametrize(
    "path",
    [
        None,
        "",
        "jobs",
        "//evil.test",
        "/\\evil.test",
        "\\\\evil.test",
        "https://evil.test",
        "javascript:alert(1)",
        "/\t/evil.test",
        "/\n/evil.test",
        " /jobs",
        "/jobs\r\nSet-Cookie: a=b",
        "/" + "x" * 600,
    ],
)
def test_any_other_place_to_go_on_to_is_the_home_page(path: str | None):
    assert safe_next(path) == "/"
