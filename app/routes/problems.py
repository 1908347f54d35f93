"""Failures as RFC 9457 problems, or as pages where a browser asked for one."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Protocol, cast
from urllib.parse import quote

import msgspec
import structlog
from litestar import Response
from litestar.exceptions import HTTPException, ValidationException
from litestar.response import Redirect
from msgspec import Meta

from app.errors import (
    BodyTooLarge,
    Conflict,
    EarmarkError,
    Forbidden,
    Invalid,
    ManifestInvalid,
    MediaTypeUnsupported,
    MethodNotAllowed,
    NotFound,
    RequestMalformed,
    TokenRefused,
    TooLarge,
    TooMany,
    Unauthenticated,
    Unavailable,
    Unexpected,
    Unprocessable,
    Unsupported,
    ValidationFailed,
)
from app.integrations.outage import is_outage
from app.routes.deps import WebRequest

log = structlog.stdlib.get_logger(__name__)

PROBLEM_MEDIA_TYPE = "application/problem+json"
SIGN_IN_PATH = "/sign-in"
_CHALLENGE = 'Bearer realm="earmark"'
_MACHINE_PREFIXES = ("/api/", "/health/", "/metrics", "/openapi.json", "/static/")

_REASON_LIMIT = 500
# Litestar takes a client that leaves in the middle of its own request for a fault of the server.
_CLIENT_GONE = "client disconnected prematurely"
_ERROR_OF_STATUS: dict[int, type[EarmarkError]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    413: BodyTooLarge,
    415: MediaTypeUnsupported,
}
_STATUS_OF_KIND: dict[type[EarmarkError], int] = {
    Invalid: 400,
    Unauthenticated: 401,
    Forbidden: 403,
    NotFound: 404,
    MethodNotAllowed: 405,
    Conflict: 409,
    TooLarge: 413,
    Unsupported: 415,
    Unprocessable: 422,
    TooMany: 429,
    Unexpected: 500,
    Unavailable: 503,
}


class FieldError(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with one value of the request."""

    message: str
    field: Annotated[str | None, Meta(description="Name of the value")] = None
    source: Annotated[str | None, Meta(description="Where it was: body, query, path, header")] = None
    line: Annotated[int | None, Meta(description="Number of the line, in a manifest")] = None


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A failed request (RFC 9457)."""

    type: Annotated[str, Meta(description="Address of the explanation", examples=["/docs/errors#job_not_found"])]
    title: Annotated[str, Meta(examples=["No such job"])]
    status: Annotated[int, Meta(examples=[404])]
    detail: Annotated[str, Meta(examples=["There is no such job, or it has been deleted."])]
    code: Annotated[str, Meta(description="Stable code of the kind of problem", examples=["job_not_found"])]
    instance: Annotated[str, Meta(description="Path of the request")]
    error_id: Annotated[str | None, Meta(description="Number under which the log has more, for unexpected errors")] = (
        None
    )
    errors: Annotated[list[FieldError] | None, Meta(description="What is wrong with which value")] = None


def status_of(error: EarmarkError | type[EarmarkError]) -> int:
    kind_of_error = error if isinstance(error, type) else type(error)
    return next((status for kind, status in _STATUS_OF_KIND.items() if issubclass(kind_of_error, kind)), 500)


def problem_of(error: EarmarkError, *, status: int, instance: str, errors: list[FieldError] | None = None) -> Problem:
    return Problem(
        type=f"/docs/errors#{error.code}",
        title=error.title,
        status=status,
        detail=str(error),
        code=error.code,
        instance=instance,
        error_id=cast("str | None", error.params.get("error_id")),
        errors=errors,
    )


# --- what was raised, in our own words


def _wire_name(request: WebRequest, key: str | None) -> str | None:
    """What the caller calls the value: a handler, or what it depends on, may know it by another name."""
    handler = request.route_handler
    signatures = [handler.parsed_fn_signature]
    signatures += [provider.parsed_fn_signature for provider in handler.resolve_dependencies().values()]
    found = (signature.parameters[key or ""] for signature in signatures if (key or "") in signature.parameters)
    definition = next(found, None)
    return getattr(definition.kwarg_definition, "name", None) or key if definition else key


def _field_errors(request: WebRequest, error: ValidationException) -> list[FieldError]:
    entries = cast("list[dict[str, Any]]", error.extra) if isinstance(error.extra, list) else []
    return [
        FieldError(
            message=str(entry.get("message", "")),
            field=_wire_name(request, entry.get("key")),
            source=getattr(entry.get("source"), "value", entry.get("source")),
        )
        for entry in entries
    ]


def _line_errors(raised: Exception) -> list[FieldError] | None:
    if not isinstance(raised, ManifestInvalid):
        return None
    return [FieldError(fault.message, fault.field, "body", fault.line) for fault in raised.faults]


def _translate(request: WebRequest, error: HTTPException) -> EarmarkError:
    """The failures that Litestar finds itself."""
    if isinstance(error, ValidationException):
        return ValidationFailed()
    if error.status_code == 405:
        return MethodNotAllowed(method=request.method)
    if error.detail == _CLIENT_GONE:
        return RequestMalformed()
    known = _ERROR_OF_STATUS.get(error.status_code)
    if known is not None:
        return known()
    return RequestMalformed() if error.status_code < 500 else _unexpected(request, error)


def _unexpected(request: WebRequest, error: Exception) -> Unexpected:
    """A bug. The caller gets a number, the log the same number and the traceback."""
    error_id = secrets.token_hex(6)
    log.error("unexpected error", error_id=error_id, method=request.method, path=request.url.path, exc_info=error)
    return Unexpected(error_id=error_id)


def _out_of_reach(raised: Exception) -> Unavailable:
    """Database or storage are down. One line says so; a traceback through their drivers would say no more."""
    log.error("a part is out of reach", reason=" ".join(f"{raised!r}".split())[:_REASON_LIMIT])
    return Unavailable()


def _in_our_words(request: WebRequest, raised: Exception) -> EarmarkError:
    if isinstance(raised, EarmarkError):
        return raised
    if isinstance(raised, HTTPException):
        return _translate(request, raised)
    if isinstance(raised, RecursionError):  # JSON nested thousands of levels deep; nothing of ours recurses
        return RequestMalformed()
    return _out_of_reach(raised) if is_outage(raised) else _unexpected(request, raised)


# --- the answer


class ErrorPage(Protocol):
    """``title`` and ``detail`` are message ids; ``params`` fill the placeholders of ``detail`` once it is translated."""

    def __call__(
        self,
        request: WebRequest,
        status: int,
        title: str,
        detail: str,
        *,
        error_id: str | None,
        params: Mapping[str, str | float],
    ) -> Response[Any]: ...


def _wants_page(request: WebRequest) -> bool:
    if request.scope["path"].startswith(_MACHINE_PREFIXES):
        return False
    return "text/html" in request.headers.get("accept", "") or "hx-request" in request.headers


def _headers_for(request: WebRequest, error: EarmarkError, raised: Exception) -> dict[str, str]:
    headers = dict(raised.headers or {}) if isinstance(raised, HTTPException) else {}
    if request.scope["path"].startswith("/api/") and (challenge := _challenge(error)):
        headers["WWW-Authenticate"] = challenge
    if isinstance(error, Unavailable):
        headers["Retry-After"] = str(error.params.get("retry_after_s", 5))
    if isinstance(error, TooMany):
        headers["Retry-After"] = str(error.params["retry_after_s"])
    return headers


def _challenge(error: EarmarkError) -> str | None:
    """What credentials are needed (RFC 6750): none were sent, they are worthless, or they are not enough."""
    if isinstance(error, TokenRefused):
        return f'{_CHALLENGE}, error="invalid_token"'
    if isinstance(error, Unauthenticated):
        return _CHALLENGE
    return f'{_CHALLENGE}, error="insufficient_scope"' if type(error) is Forbidden else None


def sign_in_path(request: WebRequest) -> str:
    """Where to sign in, and come back from: for a fragment, to the page that asked for it."""
    path = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return f"{SIGN_IN_PATH}?next={quote(path, safe='')}" if request.method == "GET" else SIGN_IN_PATH


def _send_to_sign_in(request: WebRequest) -> Response[Any]:
    if "hx-request" in request.headers:
        # A redirect would be followed by htmx itself and swap the sign-in page into some row.
        return Response(b"", status_code=401, headers={"HX-Redirect": SIGN_IN_PATH}, media_type="text/html")
    return Redirect(sign_in_path(request), status_code=303)


def _answer(request: WebRequest, error: EarmarkError, raised: Exception, page: ErrorPage) -> Response[Any]:
    status = status_of(error)
    if isinstance(raised, HTTPException) and 400 < raised.status_code < 500:
        status = raised.status_code
    request.scope["state"]["problem"] = error.code  # for the access log
    if _wants_page(request):
        if isinstance(error, Unauthenticated):
            return _send_to_sign_in(request)
        error_id = cast("str | None", error.params.get("error_id"))
        answer = page(request, status, error.title, error.detail, error_id=error_id, params=error.params)
        answer.headers.update(_headers_for(request, error, raised))
        return answer
    errors = _field_errors(request, raised) if isinstance(raised, ValidationException) else _line_errors(raised)
    problem = problem_of(error, status=status, instance=request.scope["path"], errors=errors)
    return Response(
        problem, status_code=status, media_type=PROBLEM_MEDIA_TYPE, headers=_headers_for(request, error, raised)
    )


def exception_handlers(page: ErrorPage) -> dict[type[Exception] | int, Callable[..., Response[Any]]]:
    """For the application: every failure, foreseen or not, leaves as a problem or as ``page``."""

    def handle(request: WebRequest, raised: Exception) -> Response[Any]:
        return _answer(request, _in_our_words(request, raised), raised, page)

    return {Exception: handle}
