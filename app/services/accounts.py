"""People and their sessions."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import delete, select

from app.db.models import Session, SignInAttempt, SignInLink, User
from app.db.uow import UnitOfWork
from app.domain.ids import utc_now
from app.domain.permissions import Principal, Role, highest_role
from app.domain.tokens import hash_token, new_token
from app.errors import SignInRefused
from app.services import audit

LOCAL_ISSUER = "local"
LINK_LIFETIME = timedelta(hours=1)
ATTEMPT_LIFETIME = timedelta(minutes=15)


# --- people


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who somebody is, as the identity provider (or local mode) says."""

    issuer: str
    subject: str
    name: str
    email: str | None
    role: Role


def role_of(claims: dict[str, Any], *, claim: str, role_map: dict[str, Role], default: Role | None) -> Role:
    """The highest role that the values of ``claim`` give; a value may also be a role's own name.

    Raises:
        SignInRefused: none of them gives a role and there is no default.
    """
    values = claims.get(claim, [])
    values = values.split() if isinstance(values, str) else values
    names = [str(value) for value in values] if isinstance(values, list) else []
    known = {role.value: role for role in Role} | role_map
    role = highest_role([known[name] for name in names if name in known]) or default
    if role is None:
        raise SignInRefused
    return role


async def _save_user(uow: UnitOfWork, identity: Identity) -> User:
    query = select(User).where(User.issuer == identity.issuer, User.subject == identity.subject)
    user = (await uow.session.scalars(query)).one_or_none()
    if user is None:
        user = User(issuer=identity.issuer, subject=identity.subject)
        uow.session.add(user)
    user.name, user.email, user.role = identity.name[:255], identity.email, user.given_role or identity.role
    user.last_sign_in_at = utc_now()
    await uow.session.flush()  # a new user needs an id for the session that follows
    return user


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A signed-in browser."""

    session_id: uuid.UUID
    principal: Principal
    id_token: str | None


async def sign_in(
    uow: UnitOfWork,
    identity: Identity,
    *,
    lifetime: timedelta,
    provider_session: str | None = None,
    id_token: str | None = None,
) -> str:
    """Open a new session (never continue an old one) and return its token for the cookie."""
    user = await _save_user(uow, identity)
    token = new_token()
    session = Session(
        token_hash=hash_token(token),
        user_id=user.id,
        provider_session=provider_session,
        id_token=id_token,
        expires_at=utc_now() + lifetime,
    )
    uow.session.add(session)
    principal = Principal(user.name, user.role, user_id=user.id)
    audit.record(uow, principal, "user.sign_in", target_type="user", target_id=user.id, details={"role": user.role})
    return token


async def session_of(uow: UnitOfWork, token: str) -> SignedIn | None:
    query = select(Session).where(Session.token_hash == hash_token(token), Session.expires_at > utc_now())
    session = (await uow.session.scalars(query)).one_or_none()
    if session is None:
        return None
    user = session.user
    return SignedIn(session.id, Principal(user.name, user.role, user_id=user.id), session.id_token)


async def sign_out(uow: UnitOfWork, session_id: uuid.UUID) -> None:
    await uow.session.execute(delete(Session).where(Session.id == session_id))


async def sign_out_provider_session(uow: UnitOfWork, *, issuer: str, subject: str | None, sid: str | None) -> int:
    """Back-channel logout: end the sessions of one provider session, or of a person; returns how many."""
    users = select(User.id).where(User.issuer == issuer)
    if subject is not None:
        users = users.where(User.subject == subject)
    statement = delete(Session).where(Session.user_id.in_(users))
    if sid is not None:
        statement = statement.where(Session.provider_session == sid)
    ended = await uow.session.scalars(statement.returning(Session.id))
    return len(ended.all())


# --- the one-time link of local mode


async def create_sign_in_link(uow: UnitOfWork) -> str:
    token = new_token()
    uow.session.add(SignInLink(token_hash=hash_token(token), expires_at=utc_now() + LINK_LIFETIME))
    return token


async def use_sign_in_link(uow: UnitOfWork, token: str) -> Identity:
    """The local administrator, once for each link.

    Raises:
        SignInRefused: the link is unknown, used or too old.
    """
    statement = delete(SignInLink).where(SignInLink.token_hash == hash_token(token), SignInLink.expires_at > utc_now())
    if (await uow.session.scalars(statement.returning(SignInLink.token_hash))).one_or_none() is None:
        raise SignInRefused
    return Identity(issuer=LOCAL_ISSUER, subject="local", name="Local administrator", email=None, role=Role.ADMIN)


# --- sign-ins on their way through the identity provider


@dataclass(frozen=True, slots=True)
class PendingSignIn:
    """What must come back unchanged from the identity provider."""

    state: str
    nonce: str
    code_verifier: str
    next_path: str


async def start_sign_in(uow: UnitOfWork, pending: PendingSignIn) -> str:
    """Remember a sign-in; the returned token belongs in a cookie of the browser that started it."""
    token = new_token()
    attempt = SignInAttempt(
        token_hash=hash_token(token),
        state=pending.state,
        nonce=pending.nonce,
        code_verifier=pending.code_verifier,
        next_path=pending.next_path,
        expires_at=utc_now() + ATTEMPT_LIFETIME,
    )
    uow.session.add(attempt)
    return token


async def take_sign_in(uow: UnitOfWork, token: str) -> PendingSignIn:
    """The sign-in that this browser started, once.

    Raises:
        SignInRefused: there is none.
    """
    query = select(SignInAttempt).where(SignInAttempt.token_hash == hash_token(token))
    attempt = (await uow.session.scalars(query)).one_or_none()
    if attempt is None or attempt.expires_at < utc_now():
        raise SignInRefused
    await uow.session.delete(attempt)
    return PendingSignIn(attempt.state, attempt.nonce, attempt.code_verifier, attempt.next_path)


# --- bearer tokens of the identity provider


async def principal_of_identity(uow: UnitOfWork, identity: Identity) -> Principal | None:
    """Who that is, if nothing about them has changed; None: ``welcome`` them."""
    query = select(User).where(User.issuer == identity.issuer, User.subject == identity.subject)
    user = (await uow.session.scalars(query)).one_or_none()
    if user is None or (user.name, user.role) != (identity.name[:255], identity.role):
        return None
    return Principal(user.name, user.role, user_id=user.id)


async def welcome(uow: UnitOfWork, identity: Identity) -> Principal:
    """Write down who that is, as at a sign-in, but open no session."""
    user = await _save_user(uow, identity)
    return Principal(user.name, user.role, user_id=user.id)


async def forget_expired(uow: UnitOfWork) -> None:
    """Delete sessions, links and attempts whose time is over."""
    now = utc_now()
    for table in (Session, SignInLink, SignInAttempt):
        await uow.session.execute(delete(table).where(table.expires_at < now))
