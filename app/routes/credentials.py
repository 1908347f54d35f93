"""Who sends a request: an API key under /api, else the session cookie. The two never mix."""

from __future__ import annotations

import functools
import hashlib
import hmac
from urllib.parse import urlsplit

from litestar.datastructures import Cookie
from litestar.enums import RequestEncodingType, ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from app.errors import CsrfFailed, HostRefused
from app.routes.bearer import Bearers
from app.routes.deps import Connection, WebConfig, WebParts, WebRequest, parts_of, parts_of_app
from app.routes.guards import UNASKED, check_permission
from app.routes.middleware import QUOTA_HEADERS
from app.routes.quotas import Quota, Quotas
from app.services import accounts
from app.services.accounts import SignedIn

CSRF_HEADER = "x-csrf-token"
CSRF_FIELD = "_csrf_token"
API_PREFIX = "/api/"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
# A form that carries the token in a field is read whole before its route is; anything larger sends the header.
_CSRF_FORM_LIMIT_BYTES = 64 * 1024


# --- the session cookie


def cookie_name(config: WebConfig, purpose: str = "session") -> str:
    """Behind https the prefix makes browsers refuse the cookie from anybody but this very host."""
    return f"__Host-earmark-{purpose}" if config.https else f"earmark-{purpose}"


def make_cookie(config: WebConfig, value: str, *, max_age_s: int, purpose: str = "session") -> Cookie:
    """Lax, not strict: the identity provider sends the browser back here by a link."""
    return Cookie(
        key=cookie_name(config, purpose),
        value=value,
        path="/",
        max_age=max_age_s,
        secure=config.https,
        httponly=True,
        samesite="lax",
    )


def dropped_cookie(config: WebConfig, purpose: str = "session") -> Cookie:
    return make_cookie(config, "", max_age_s=0, purpose=purpose)


# --- CSRF


def csrf_token(connection: Connection) -> str:
    """The token of this session, or an empty string without one. A new sign-in is a new session, hence a new token."""
    session: SignedIn | None = connection.scope.get("auth")  # not there on the way to an address that leads nowhere
    if session is None:
        return ""
    key = parts_of(connection).config.signing_key.encode()
    return hmac.new(key, b"csrf:" + session.session_id.bytes, hashlib.sha256).hexdigest()


async def _sent_csrf_token(request: WebRequest) -> str:
    """From the header, or from a field of a small form. The body of an upload is never read for it."""
    if header := request.headers.get(CSRF_HEADER):
        return header
    length = request.content_length
    if request.content_type[0] != RequestEncodingType.URL_ENCODED or not length or length > _CSRF_FORM_LIMIT_BYTES:
        return ""
    return str((await request.form()).get(CSRF_FIELD, ""))


async def _check_csrf(request: WebRequest) -> None:
    if request.method in _SAFE_METHODS:
        return
    if not hmac.compare_digest((await _sent_csrf_token(request)).encode(), csrf_token(request).encode()):
        raise CsrfFailed


# --- local mode


@functools.lru_cache(maxsize=64)
def _host_name(authority: str) -> str | None:
    try:
        return urlsplit(f"//{authority}").hostname
    except ValueError:
        return None


def check_host(host: str, config: WebConfig) -> None:
    """In local mode a name that some web site made point to this machine (DNS rebinding) opens nothing.

    ``host``: the header of this name.
    """
    if not config.local_mode:
        return
    name = _host_name(host)
    if name not in _LOOPBACK_NAMES and name != _host_name(config.base_url.partition("//")[2]):
        raise HostRefused


# --- the middleware


class Admission(ASGIMiddleware):
    """Puts the principal into ``request.user`` and, for a browser, its session into ``request.auth``; lets in who may.

    What the API is asked is counted, and every answer of it tells the caller what is left. (A guard would do for the permission,
    but Litestar copies the handler for each call of one.)
    """

    scopes = (ScopeType.HTTP,)

    def __init__(self) -> None:
        self._bearers = Bearers()
        self._quotas = Quotas()

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        scope["user"] = scope["auth"] = None
        opt = scope["route_handler"].opt
        if not opt.get(UNASKED):
            await self._recognise(scope, receive, send)
        check_permission(scope["user"], opt)
        await next_app(scope, receive, send)

    async def _recognise(self, scope: Scope, receive: Receive, send: Send) -> None:
        parts = parts_of_app(scope["litestar_app"])
        check_host(_header(scope, b"host") or "", parts.config)
        authorization = _header(scope, b"authorization")
        to_api = scope["path"].startswith(API_PREFIX)
        quota: Quota | None = None
        if to_api and authorization is not None:
            host = scope["client"][0] if scope["client"] else ""
            scope["user"] = principal = await self._bearers.principal_of(parts, host, authorization)
            quota = await self._quotas.take(parts, principal)
        elif session := await _by_cookie(parts, request := WebRequest(scope, receive, send)):
            scope["user"], scope["auth"] = session.principal, session
            await _check_csrf(request)
            quota = await self._quotas.take(parts, session.principal) if to_api else None
        if quota is not None:
            scope["state"][QUOTA_HEADERS] = quota.headers()
            quota.check()


def _header(scope: Scope, wanted: bytes) -> str | None:
    """The first of this name; to ask a request for it would have all of its headers parsed."""
    return next((value.decode("latin-1") for name, value in scope["headers"] if name == wanted), None)


async def _by_cookie(parts: WebParts, request: WebRequest) -> SignedIn | None:
    token = request.cookies.get(cookie_name(parts.config))
    if not token:
        return None
    async with parts.store.reading() as uow:
        return await accounts.session_of(uow, token)
