"""Every failure, foreseen or not, has one shape, one status and a place in docs/errors.md."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from litestar import Litestar, get
from structlog.testing import capture_logs

from app import errors
from app.domain.failures import WORDS, FailureCode
from app.domain.permissions import Permission
from app.errors import EarmarkError, Unavailable
from app.routes.docs import errors_markdown
from app.routes.guards import public
from app.routes.problems import status_of
from app.settings import Settings
from tests.support.web import assert_problem, browser, make_key, program, web_application

ROOT = Path(__file__).resolve().parents[2]


def _errors() -> Iterator[type[EarmarkError]]:
    for value in vars(errors).values():
        if isinstance(value, type) and issubclass(value, EarmarkError) and value is not EarmarkError:
            yield value


ERRORS = list(_errors())


def test_the_document_is_what_the_code_says():
    assert (ROOT / "docs" / "errors.md").read_text() == errors_markdown(), "run `make openapi`"


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: error.code)
def test_every_error_is_complete_and_documented(error: type[EarmarkError]):
    assert re.fullmatch(r"[a-z]+(_[a-z]+)*", error.code)
    assert error.title
    assert error.detail.endswith((".", "}"))
    assert 400 <= status_of(error) < 600
    assert f"| `{error.code}` | {status_of(error)} |" in errors_markdown()


def test_no_two_errors_share_a_code():
    codes = [error.code for error in ERRORS]
    assert sorted(set(codes)) == sorted(codes)


def test_every_failure_of_a_job_has_words():
    assert set(WORDS) == set(FailureCode)
    for code in FailureCode:
        assert f"| `{code}` |" in errors_markdown()


class SecretTrouble(Exception):
    pass


@get("/api/v1/boom", opt={"permission": Permission.JOBS_READ})
async def boom() -> None:
    password = "hunter2-in-a-variable"  # noqa: F841
    raise SecretTrouble("hunter2 in a message")


@get("/away", opt=public("a test"))
async def away() -> None:
    raise Unavailable


@get("/page-boom", opt=public("a test"))
async def page_boom() -> None:
    raise SecretTrouble("hunter2 in a message")


@pytest.fixture
async def app(tmp_path: Path, sqlite_dsn: str) -> AsyncIterator[Litestar]:
    async with web_application(Settings(data_dir=tmp_path, database_url=sqlite_dsn)) as app:
        for handler in (boom, away, page_boom):
            app.register(handler)
        yield app


@pytest.fixture
async def client(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with program(app, await make_key(app.state.parts)) as client:
        yield client


async def test_an_unexpected_error_shows_a_number_and_logs_it_once_with_the_traceback(client: httpx.AsyncClient):
    with capture_logs() as lines:
        answer = await client.get("/api/v1/boom")
    problem = assert_problem(answer, 500, "internal")
    assert "hunter2" not in answer.text
    assert problem["error_id"] in problem["detail"]
    [line] = [line for line in lines if line["log_level"] == "error"]
    assert line["error_id"] == problem["error_id"]
    assert isinstance(line["exc_info"], SecretTrouble)
    assert [line["problem"] for line in lines if line["event"] == "request"] == ["internal"]


async def test_foreseen_errors_log_no_traceback(client: httpx.AsyncClient):
    with capture_logs() as lines:
        answer = await client.get("/away")
    assert_problem(answer, 503, "unavailable")
    assert answer.headers["retry-after"]
    assert [line["event"] for line in lines if line["event"] != "unreachable"] == ["request"]


async def test_browsers_get_a_page_and_htmx_a_part_of_one(app: Litestar):
    async with browser(app) as visitor:
        with capture_logs() as lines:
            page = await visitor.get("/page-boom")
        error_id = next(line["error_id"] for line in lines if line["log_level"] == "error")
        assert (page.status_code, error_id in page.text, "hunter2" in page.text) == (500, True, False)
        assert page.headers["content-type"].startswith("text/html")
        missing = await visitor.get("/no-such-page")
        assert (missing.status_code, "<h1>" in missing.text) == (404, True)
        part = await visitor.get("/away", headers={"hx-request": "true"})
        assert (part.status_code, "<html" in part.text) == (503, False)


async def test_pages_speak_the_readers_language_and_problems_english(app: Litestar):
    async with browser(app, headers={"accept-language": "zh-CN"}) as visitor:
        assert 'lang="zh-Hans"' in (await visitor.get("/no-such-page")).text
        answer = await visitor.get("/api/v1/no-such-thing")
        assert assert_problem(answer, 404, "not_found")["title"] == "Not found"


async def test_even_a_broken_error_page_is_answered(app: Litestar, monkeypatch: pytest.MonkeyPatch):
    engine = app.template_engine
    assert engine is not None

    def broken(template_name: str) -> None:
        raise SecretTrouble(template_name)

    monkeypatch.setattr(type(engine), "get_template", lambda _, template_name: broken(template_name))
    async with browser(app) as visitor:
        with capture_logs() as lines:
            answer = await visitor.get("/no-such-page")
    assert (answer.status_code, answer.text) == (500, "An unexpected error.")
    assert answer.headers["content-security-policy"]
    assert [line["status"] for line in lines if line["event"] == "request"] == [500]


@pytest.mark.parametrize(
    ("method", "path", "options", "status", "code"),
    [
        ("GET", "/api/v1/nothing", {}, 404, "not_found"),
        ("GET", "/nothing", {}, 404, "not_found"),
        ("GET", "/static/nothing.css", {}, 404, "not_found"),
        ("GET", "/static/../pyproject.toml", {}, 404, "not_found"),
        ("DELETE", "/api/v1/genres", {}, 405, "method_not_allowed"),
        ("GET", "/api/v1/jobs?limit=x", {}, 400, "validation_failed"),
        ("GET", "/docs/nothing.json", {}, 404, "not_found"),
    ],
)
async def test_the_frameworks_own_failures_have_the_same_shape(
    client: httpx.AsyncClient, *, method: str, path: str, options: dict, status: int, code: str
):
    assert_problem(await client.request(method, path, **options), status, code)
