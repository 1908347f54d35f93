"""Pages about the API: its description, a page to try it on, and what each failure means."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, Router, get
from litestar.response import Template

from app import errors
from app.domain.failures import WORDS
from app.errors import EarmarkError
from app.routes.deps import WebRequest
from app.routes.guards import public
from app.routes.pages import page
from app.routes.problems import status_of

_OPEN = public("describes the API, holds no data")


class ErrorEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One code. ``status`` is None for the failures of jobs, which are no failures of requests."""

    code: str
    status: int | None
    title: str
    detail: str


class ErrorsPage(msgspec.Struct, frozen=True, kw_only=True):
    """``docs/errors.html``. The texts are message ids; placeholders stand as they are."""

    requests: list[ErrorEntry]
    jobs: list[ErrorEntry]


def _concrete_errors() -> list[type[EarmarkError]]:
    """All that a request can meet; the commands have failures of their own elsewhere."""
    found = (value for value in vars(errors).values() if isinstance(value, type) and issubclass(value, EarmarkError))
    return [error for error in found if error is not EarmarkError]


def request_errors() -> list[ErrorEntry]:
    """Every problem a request can get, by status and code."""
    entries = [
        ErrorEntry(code=error.code, status=status_of(error), title=error.title, detail=error.detail)
        for error in _concrete_errors()
    ]
    return sorted(entries, key=lambda entry: (entry.status or 0, entry.code))


def job_failures() -> list[ErrorEntry]:
    """Every reason for which a job can fail."""
    return [
        ErrorEntry(code=code.value, status=None, title=words.title, detail=words.detail)
        for code, words in WORDS.items()
    ]


def errors_markdown() -> str:
    """The text of docs/errors.md."""
    lines = [
        "# Errors",
        "",
        "Every failed request gets a problem (RFC 9457, `application/problem+json`) with one of these codes. The code is stable,",
        "the words may change. Unexpected errors carry an `error_id` under which the log has the traceback.",
        "A failed job carries one of the codes of the second table in its `error`.",
        "",
        "This file is written by `make openapi`; a test compares it with the code.",
        "",
        "## Requests",
        "",
        "| code | status | title | detail |",
        "|---|---|---|---|",
        *(f"| `{entry.code}` | {entry.status} | {entry.title} | {entry.detail} |" for entry in request_errors()),
        "",
        "## Jobs",
        "",
        "| code | title | detail |",
        "|---|---|---|",
        *(f"| `{entry.code}` | {entry.title} | {entry.detail} |" for entry in job_failures()),
        "",
    ]
    return "\n".join(lines)


@get("/openapi.json", opt=_OPEN, include_in_schema=False, sync_to_thread=False)
def openapi_json(request: WebRequest) -> Response[dict[str, Any]]:
    return Response(request.app.openapi_schema.to_schema(), headers={"Cache-Control": "no-cache"})


@get("/docs", opt=_OPEN, include_in_schema=False, sync_to_thread=False)
def api_docs(request: WebRequest) -> Template:
    """Swagger UI, from our own files and without inline scripts."""
    return Template("docs/api.html", context={"request": request})


@get("/docs/errors", opt=_OPEN, include_in_schema=False, sync_to_thread=False)
def errors_docs(request: WebRequest) -> Template:
    return page(request, "docs/errors.html", ErrorsPage(requests=request_errors(), jobs=job_failures()))


def docs_router() -> Router:
    return Router("/", route_handlers=[openapi_json, api_docs, errors_docs])
