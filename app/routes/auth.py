"""Signing in and out: at an identity provider, or in local mode by a one-time link."""

from __future__ import annotations

import structlog
from litestar import Response, Router, get, post
from litestar.params import FromPath
from litestar.response import Redirect, Template

from app.db.uow import UnitOfWork
from app.errors import NotFound, RequestMalformed, SignInRefused, Unavailable
from app.integrations.oidc import Authenticated, AuthorizationRequest, IdentityProvider, OidcRefused, OidcUnreachable
from app.routes.credentials import cookie_name, dropped_cookie, make_cookie
from app.routes.deps import Parts, Uow, WebParts, WebRequest
from app.routes.guards import public
from app.routes.pages import SignInPage, page
from app.services import accounts
from app.services.accounts import Identity, PendingSignIn

log = structlog.stdlib.get_logger(__name__)

HOME = "/"
_ATTEMPT = "sign-in"  # the cookie that ties a sign-in to the browser that started it
_PATH_LIMIT = 512  # of the column that remembers where to go on
_WAY_IN = public("the way in")


def safe_next(path: str | None) -> str:
    r"""A path of our own to go on to, else the home page; never another host, written as //host, /\host or otherwise."""
    if not path or len(path) > _PATH_LIMIT or not path.startswith("/") or path.startswith("//"):
        return HOME
    return HOME if any(letter <= " " or letter in "\\\x7f" for letter in path) else path


def _callback_url(parts: WebParts) -> str:
    return f"{parts.config.base_url}/sign-in/callback"


def _provider(parts: WebParts) -> IdentityProvider:
    if parts.provider is None:
        raise NotFound
    return parts.provider


def _refused(error: Exception) -> SignInRefused:
    """People get plain words; what exactly did not fit is for the log."""
    log.warning("sign-in refused", reason=str(error))
    return SignInRefused()


def _unreachable(error: Exception) -> Unavailable:
    log.error("identity provider unreachable", reason=str(error))
    return Unavailable()


async def _end_session(uow: UnitOfWork, request: WebRequest) -> None:
    if request.auth is not None:
        await accounts.sign_out(uow, request.auth.session_id)


def _signed_in(parts: WebParts, token: str, identity: Identity, next_path: str) -> Redirect:
    log.info("signed in", name=identity.name, role=identity.role)
    lifetime_s = int(parts.config.session_lifetime.total_seconds())
    cookies = [make_cookie(parts.config, token, max_age_s=lifetime_s), dropped_cookie(parts.config, _ATTEMPT)]
    return Redirect(next_path, status_code=303, cookies=cookies)


# --- the page


@get("/sign-in", opt=_WAY_IN, include_in_schema=False)
async def sign_in_page(request: WebRequest, parts: Parts) -> Template | Redirect:
    next_path = safe_next(request.query_params.get("next"))
    if request.user is not None:
        return Redirect(next_path, status_code=303)
    return page(request, "auth/sign_in.html", SignInPage(local=parts.config.local_mode, next_path=next_path))


# --- local mode


@get("/sign-in/{token:str}", opt=_WAY_IN, include_in_schema=False)
async def use_link(request: WebRequest, parts: Parts, uow: Uow, token: FromPath[str]) -> Redirect:
    if not parts.config.local_mode:
        raise NotFound
    identity = await accounts.use_sign_in_link(uow, token)
    await _end_session(uow, request)
    session = await accounts.sign_in(uow, identity, lifetime=parts.config.session_lifetime)
    return _signed_in(parts, session, identity, HOME)


# --- an identity provider


@get("/sign-in/start", opt=_WAY_IN, include_in_schema=False)
async def start(request: WebRequest, parts: Parts) -> Redirect:
    """Send the browser to the provider. No transaction is open while the provider is asked for its metadata."""
    try:
        begun = await _provider(parts).start(_callback_url(parts))
    except OidcRefused as error:
        raise _refused(error) from error
    except OidcUnreachable as error:
        raise _unreachable(error) from error
    pending = PendingSignIn(begun.state, begun.nonce, begun.code_verifier, safe_next(request.query_params.get("next")))
    async with parts.store.writing() as uow:
        token = await accounts.start_sign_in(uow, pending)
    max_age_s = int(accounts.ATTEMPT_LIFETIME.total_seconds())
    return Redirect(
        begun.url,
        status_code=303,
        cookies=[make_cookie(parts.config, token, max_age_s=max_age_s, purpose=_ATTEMPT)],
    )


async def _take_attempt(parts: WebParts, request: WebRequest) -> PendingSignIn:
    """The sign-in that this browser started. It is used up even if what follows fails."""
    async with parts.store.writing() as uow:
        return await accounts.take_sign_in(uow, request.cookies.get(cookie_name(parts.config, _ATTEMPT), ""))


async def _authenticate(parts: WebParts, request: WebRequest, pending: PendingSignIn) -> Authenticated:
    try:
        return await _provider(parts).finish(
            dict(request.query_params.items()),
            started=AuthorizationRequest("", pending.state, pending.nonce, pending.code_verifier),
            redirect_uri=_callback_url(parts),
            wanted_claims=("name", "email", parts.config.roles.claim),
        )
    except OidcRefused as error:
        raise _refused(error) from error
    except OidcUnreachable as error:
        raise _unreachable(error) from error


def _identity(parts: WebParts, who: Authenticated) -> Identity:
    roles, claims = parts.config.roles, who.claims
    try:
        role = accounts.role_of(claims, claim=roles.claim, role_map=roles.role_map, default=roles.default)
    except SignInRefused:
        log.warning("sign-in refused", reason="no role", claim=roles.claim, subject=claims["sub"])
        raise
    email = claims.get("email")
    name = claims.get("name") or claims.get("preferred_username") or email or claims["sub"]
    return Identity(
        issuer=claims["iss"], subject=claims["sub"], name=str(name), email=str(email) if email else None, role=role
    )


@get("/sign-in/callback", opt=_WAY_IN, include_in_schema=False)
async def callback(request: WebRequest, parts: Parts) -> Redirect:
    """The browser comes back from the provider. Three steps, so that no transaction waits for the provider."""
    pending = await _take_attempt(parts, request)
    who = await _authenticate(parts, request, pending)
    identity = _identity(parts, who)
    async with parts.store.writing() as uow:
        await _end_session(uow, request)
        token = await accounts.sign_in(
            uow,
            identity,
            lifetime=parts.config.session_lifetime,
            provider_session=who.sid,
            id_token=who.id_token,
        )
    return _signed_in(parts, token, identity, pending.next_path)


# --- signing out


async def _after_sign_out(parts: WebParts, id_token: str | None) -> str:
    """The provider's own sign-out if it has one. Its being out of reach keeps nobody signed in here."""
    return_to = f"{parts.config.base_url}/sign-in"
    if parts.provider is None:
        return return_to
    try:
        return await parts.provider.logout_url(id_token, return_to) or return_to
    except (OidcRefused, OidcUnreachable) as error:
        log.warning("provider's sign-out skipped", reason=str(error))
        return return_to


@post("/sign-out", opt=public("whoever has no session is signed out already"), include_in_schema=False)
async def sign_out(request: WebRequest, parts: Parts) -> Redirect:
    session = request.auth
    if session is not None:
        async with parts.store.writing() as uow:
            await accounts.sign_out(uow, session.session_id)
    target = await _after_sign_out(parts, session.id_token if session else None)
    return Redirect(target, status_code=303, cookies=[dropped_cookie(parts.config)])


@post("/sign-in/backchannel-logout", opt=public("signed by the provider"), include_in_schema=False, status_code=200)
async def backchannel_logout(request: WebRequest, parts: Parts) -> Response[None]:
    """The provider says that somebody's session there has ended (Back-Channel Logout 1.0)."""
    provider = _provider(parts)
    form = await request.form()
    try:
        subject, sid = await provider.check_logout_token(str(form.get("logout_token", "")))
    except OidcRefused as error:
        log.warning("back-channel logout refused", reason=str(error))
        raise RequestMalformed from error
    except OidcUnreachable as error:
        raise _unreachable(error) from error
    async with parts.store.writing() as uow:
        ended = await accounts.sign_out_provider_session(uow, issuer=provider.issuer, subject=subject, sid=sid)
    log.info("signed out by the provider", sessions=ended)
    return Response(None, headers={"Cache-Control": "no-store"})


def auth_router() -> Router:
    return Router("/", route_handlers=[sign_in_page, use_link, start, callback, sign_out, backchannel_logout])
