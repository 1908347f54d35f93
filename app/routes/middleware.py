"""Around everything, also around addresses that lead nowhere: request id, one line in the log, security headers."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import logging
import random
import re
import time
from http import HTTPStatus
from typing import cast
from urllib.parse import urlsplit

import structlog
from litestar.enums import HttpMethod, ScopeType
from litestar.types import ASGIApp, HTTPReceiveMessage, HTTPScope, Message, Receive, Scope, Send

from app.log_lines import LogRequest
from app.metrics import HTTP_DURATION, HTTP_REQUESTS

log = structlog.stdlib.get_logger(__name__)

_SANE_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
# In the state of a request: what its caller may still ask for, as headers of the answer.
QUOTA_HEADERS = "quota_headers"
_QUIET_PREFIXES = ("/health/", "/static/")
_CLIENT_GONE = 499
_METHODS = frozenset(HttpMethod)
_STREAM = b"text/event-stream"
_DRAIN_LIMIT_BYTES = 64_000_000
_DRAIN_LIMIT_S = 15.0
_SILENCE_LIMIT_S = 60.0
# A one-time link is a secret that is part of the path.
_SECRET_PATHS = re.compile(r"^(/sign-in/)(?!start$|callback$|backchannel-logout$).+")


def content_security_policy(form_target: str | None) -> str:
    """Nothing from elsewhere, nothing inline; a page may play what was recorded in it (``blob:``).

    ``form_target``: where the form of signing out may be redirected to.
    """
    form_action = "'self'"
    if form_target is not None:
        parts = urlsplit(form_target)
        form_action += f" {parts.scheme}://{parts.netloc}"
    return (
        "default-src 'self'; img-src 'self' data:; media-src 'self' blob:; object-src 'none'; "
        "base-uri 'none'; frame-ancestors 'none'; "
        f"form-action {form_action}"
    )


def _request_id(scope: HTTPScope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_REQUEST_ID.fullmatch(text := value.decode("latin-1")):
            return text
    return f"{random.getrandbits(64):016x}"  # has to differ, not to be unguessable


# To find the series of some labels takes longer than to count.
_requests = functools.cache(HTTP_REQUESTS.labels)
_durations = functools.cache(HTTP_DURATION.labels)


def _count(scope: HTTPScope, status: int, started: float, *, stream: bool) -> None:
    """By the pattern of the path, of which there are as many as routes. Streams end when their reader leaves: no duration."""
    method = scope["method"] if scope["method"] in _METHODS else "other"
    route = scope.get("path_template") or "none"
    _requests(method, route, status).inc()
    if not stream:
        _durations(method, route).observe(time.perf_counter() - started)


async def _send_last_resort(send: Send) -> None:
    """When even the error page fails."""
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": b"An unexpected error.", "more_body": False})


class _RequestBody:
    """Knows how much of the body the application has left unread."""

    def __init__(self, scope: HTTPScope, receive: Receive) -> None:
        self._receive = receive
        names = {name for name, _ in scope["headers"]}
        # Who asks first (Expect: 100-continue) reads the answer before sending anything.
        self.unread = bool(names & {b"content-length", b"transfer-encoding"}) and b"expect" not in names

    async def receive(self) -> HTTPReceiveMessage:
        """Who begins a body and then sends nothing for too long counts as gone."""
        try:
            async with asyncio.timeout(_SILENCE_LIMIT_S if self.unread else None):
                message = cast("HTTPReceiveMessage", await self._receive())
        except TimeoutError:
            message = {"type": "http.disconnect"}
        self.unread = self.unread and message["type"] == "http.request" and message.get("more_body", False)
        return message

    async def drain(self) -> None:
        """Take and drop what a refused client is still sending: most read the answer only when they are through."""
        dropped = 0
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_DRAIN_LIMIT_S):
                while self.unread and dropped < _DRAIN_LIMIT_BYTES:
                    message = await self.receive()
                    dropped += len(message["body"]) if message["type"] == "http.request" else 0


class Envelope:
    """The outermost layer of the web application."""

    def __init__(self, app: ASGIApp, *, https: bool, form_target: str | None, log_request: LogRequest) -> None:
        self._app = app
        self._log_request = log_request
        # Of an answer that does not say otherwise.
        defaults = {
            "content-security-policy": content_security_policy(form_target),
            "x-content-type-options": "nosniff",
            "referrer-policy": "same-origin",
            "x-frame-options": "DENY",
            "cross-origin-opener-policy": "same-origin",
            "permissions-policy": "camera=(), microphone=(self), geolocation=()",
            "cache-control": "no-store",  # everything is somebody's own business
        }
        if https:
            defaults["strict-transport-security"] = "max-age=31536000"
        self._headers = [(name.encode(), value.encode()) for name, value in defaults.items()]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        started, status, stream, request_id = time.perf_counter(), 0, False, _request_id(scope)
        body = _RequestBody(scope, receive)

        async def send_with_headers(message: Message) -> None:
            nonlocal status, stream
            if message["type"] == "http.response.start":
                status = message["status"]
                if status >= HTTPStatus.BAD_REQUEST:
                    await body.drain()
                said = [*message["headers"], (b"x-request-id", request_id.encode())]
                said += scope["state"].get(QUOTA_HEADERS, ())
                by_name = {name.lower(): value for name, value in said}
                stream = by_name.get(b"content-type", b"").partition(b";")[0] == _STREAM
                message["headers"] = said + [header for header in self._headers if header[0] not in by_name]
            await send(message)

        outer = structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self._app(scope, body.receive, send_with_headers)
        except Exception:
            if status:
                raise  # the answer is under way: all that is left is to break it off
            log.exception("unexpected error in the answer to an error")
            await _send_last_resort(send_with_headers)
        finally:
            self._log(scope, request_id, status or _CLIENT_GONE, started)
            _count(scope, status or _CLIENT_GONE, started, stream=stream)
            structlog.contextvars.reset_contextvars(**outer)

    def _log(self, scope: HTTPScope, request_id: str, status: int, started: float) -> None:
        path = _SECRET_PATHS.sub(r"\1…", scope["path"])
        fields = {
            "method": scope["method"],
            "path": path,
            "status": status,
            "duration_ms": round((time.perf_counter() - started) * 1000, 1),
            "request_id": request_id,
        }
        if problem := scope.get("state", {}).get("problem"):
            fields["problem"] = problem
        quiet = status < HTTPStatus.BAD_REQUEST and path.startswith(_QUIET_PREFIXES)
        self._log_request(logging.DEBUG if quiet else logging.INFO, fields)
