"""The keys of programs: made, limited, listed, revoked, recognised."""

from __future__ import annotations

import uuid
from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, Select, and_, func, or_, select, update

from app.db.models import ApiKey, User
from app.db.uow import UnitOfWork
from app.domain.api_keys import ApiKeyOut, NewApiKey
from app.domain.ids import utc_now
from app.domain.permissions import Permission, Principal, Role, lower_role
from app.domain.tokens import hash_token, new_api_key, new_webhook_secret, shown_prefix
from app.errors import ApiKeyExpired, ApiKeyLimit, ApiKeyNameTaken, ApiKeyNotFound, Forbidden
from app.services import audit

# Writing the time of last use at every request would turn each read into a write.
_LAST_USE_PRECISION = timedelta(minutes=1)
COMMAND_LINE = Principal("command line", Role.ADMIN)


@dataclass(frozen=True, slots=True)
class MadeApiKey:
    """A key in the moment of its making, which is the only one in which it is known."""

    view: ApiKeyOut
    key: str
    webhook_secret: str


def _scopes(key: ApiKey) -> list[Permission] | None:
    """A scope that this version no longer knows gives nothing."""
    known = {permission.value for permission in Permission}
    return None if key.scopes is None else [Permission(scope) for scope in key.scopes if scope in known]


def _view(key: ApiKey) -> ApiKeyOut:
    return ApiKeyOut(
        id=key.id,
        name=key.name,
        prefix=key.prefix,
        role=key.role,
        scopes=_scopes(key),
        owner=key.user.name if key.user else None,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
    )


def _valid() -> ColumnElement[bool]:
    return and_(ApiKey.revoked_at.is_(None), or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > utc_now()))


# --- make and revoke


async def _add(uow: UnitOfWork, wanted: NewApiKey, user_id: uuid.UUID | None) -> tuple[ApiKey, str, str]:
    """The key's row, the key, and its webhook secret."""
    if wanted.expires_at is not None and wanted.expires_at <= utc_now():
        raise ApiKeyExpired
    if await uow.session.scalar(select(ApiKey.id).where(ApiKey.name == wanted.name)) is not None:
        raise ApiKeyNameTaken(name=wanted.name)
    secret, webhook_secret = new_api_key(), new_webhook_secret()
    key = ApiKey(
        name=wanted.name,
        prefix=shown_prefix(secret),
        key_hash=hash_token(secret),
        role=wanted.role,
        scopes=sorted(set(wanted.scopes)) if wanted.scopes is not None else None,
        webhook_secret=uow.vault.seal(webhook_secret),
        user_id=user_id,
        expires_at=wanted.expires_at,
    )
    uow.session.add(key)
    await uow.session.flush()
    return key, secret, webhook_secret


def _record(uow: UnitOfWork, actor: Principal, action: str, key: ApiKey) -> None:
    details = {"name": key.name, "role": key.role, "scopes": key.scopes}
    audit.record(uow, actor, action, target_type="api_key", target_id=key.id, details=details)


async def create_api_key(uow: UnitOfWork, wanted: NewApiKey) -> MadeApiKey:
    """A key that belongs to nobody, made on the command line.

    Raises:
        ApiKeyNameTaken, ApiKeyExpired
    """
    key, secret, webhook_secret = await _add(uow, wanted, None)
    key.user = None
    _record(uow, COMMAND_LINE, "api_key.create", key)
    return MadeApiKey(_view(key), secret, webhook_secret)


async def create_own_api_key(uow: UnitOfWork, person: Principal, wanted: NewApiKey, *, most: int) -> MadeApiKey:
    """A key for the programs of a person, who may have ``most`` valid ones. It can do no more than the person.

    Raises:
        Forbidden: a key asks for a key, or for more than the person may do.
        ApiKeyLimit, ApiKeyNameTaken, ApiKeyExpired
    """
    if person.user_id is None or lower_role(wanted.role, person.role) is not wanted.role:
        raise Forbidden
    # Of two requests at the same time the second must see the first one's key.
    await uow.session.execute(select(User.id).where(User.id == person.user_id).with_for_update())
    own = select(func.count()).select_from(ApiKey).where(ApiKey.user_id == person.user_id, _valid())
    if (await uow.session.scalar(own) or 0) >= most:
        raise ApiKeyLimit(most=most)
    key, secret, webhook_secret = await _add(uow, wanted, person.user_id)
    await uow.session.refresh(key, ["user"])
    _record(uow, person, "api_key.create", key)
    return MadeApiKey(_view(key), secret, webhook_secret)


async def revoke_api_key(uow: UnitOfWork, name: str) -> None:
    """On the command line.

    Raises:
        ApiKeyNotFound
    """
    await _revoke(uow, COMMAND_LINE, select(ApiKey).where(ApiKey.name == name), name)


async def revoke_api_key_by_id(uow: UnitOfWork, person: Principal, key_id: uuid.UUID) -> None:
    """One's own, or any of them for those who may.

    Raises:
        ApiKeyNotFound
    """
    await _revoke(uow, person, _manageable(person).where(ApiKey.id == key_id), str(key_id))


async def _revoke(uow: UnitOfWork, actor: Principal, wanted: Select[ApiKey], words: str) -> None:
    key = (await uow.session.scalars(wanted.where(ApiKey.revoked_at.is_(None)))).one_or_none()
    if key is None:
        raise ApiKeyNotFound(name=words)
    key.revoked_at = utc_now()
    _record(uow, actor, "api_key.revoke", key)


# --- list


def _manageable(person: Principal) -> Select[ApiKey]:
    """The keys of this person; all of them for those who may manage any. A key manages none."""
    if person.user_id is None:
        raise Forbidden
    query = select(ApiKey)
    return query if person.may(Permission.API_KEYS_MANAGE_ANY) else query.where(ApiKey.user_id == person.user_id)


async def list_api_keys(uow: UnitOfWork, person: Principal | None = None) -> list[ApiKeyOut]:
    """By name: all of them for the command line, else those that the person may manage."""
    query = _manageable(person) if person is not None else select(ApiKey)
    return [_view(key) for key in (await uow.session.scalars(query.order_by(ApiKey.name))).all()]


# --- recognise


def principal_of(key: ApiKey) -> Principal:
    """A key follows its owner: who has lost a right has lost it for their programs too."""
    role = lower_role(key.role, key.user.role) if key.user else key.role
    scopes = _scopes(key)
    return Principal(key.name, role, api_key_id=key.id, scopes=frozenset(scopes) if scopes is not None else None)


async def principals_of_api_keys(uow: UnitOfWork, keys: Collection[str]) -> dict[str, Principal]:
    """Who stands behind each of the keys; one that is unknown, revoked or expired has nobody."""
    by_hash = {hash_token(key): key for key in keys}
    found = await uow.session.scalars(select(ApiKey).where(ApiKey.key_hash.in_(by_hash), _valid()))
    return {by_hash[key.key_hash]: principal_of(key) for key in found.all()}


async def note_api_key_use(uow: UnitOfWork, api_key_id: uuid.UUID) -> None:
    now = utc_now()
    stale = func.coalesce(ApiKey.last_used_at, ApiKey.created_at) < now - _LAST_USE_PRECISION
    await uow.session.execute(update(ApiKey).where(ApiKey.id == api_key_id, stale).values(last_used_at=now))
