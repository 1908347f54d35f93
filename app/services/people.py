"""People, as administrators see them: who they are, what they may do, and where they are signed in."""

from __future__ import annotations

import uuid

from sqlalchemy import delete, func, or_, select

from app.db.models import Session, User
from app.db.uow import UnitOfWork
from app.domain.administration import PersonOut
from app.domain.ids import utc_now
from app.domain.permissions import Principal, Role
from app.errors import LastAdministrator, UserNotFound
from app.services import audit

PEOPLE_LIMIT = 200


async def list_people(uow: UnitOfWork, text: str = "") -> list[PersonOut]:
    """Whose name or address contains the text, those who signed in last first; not more than ``PEOPLE_LIMIT``."""
    sessions = (
        select(func.count())
        .where(Session.user_id == User.id, Session.expires_at > utc_now())
        .correlate(User)
        .scalar_subquery()
    )
    query = select(User, sessions).order_by(User.last_sign_in_at.desc().nulls_last(), User.id).limit(PEOPLE_LIMIT)
    if text:
        query = query.where(
            or_(User.name.icontains(text, autoescape=True), User.email.icontains(text, autoescape=True))
        )
    return [_person_out(user, open_sessions) for user, open_sessions in await uow.session.execute(query)]


def _person_out(user: User, open_sessions: int) -> PersonOut:
    return PersonOut(
        id=user.id,
        name=user.name,
        email=user.email,
        role=user.role,
        given_role=user.given_role,
        last_sign_in_at=user.last_sign_in_at,
        open_sessions=open_sessions,
    )


async def _find(uow: UnitOfWork, user_id: uuid.UUID) -> User:
    user = await uow.session.get(User, user_id)
    if user is None:
        raise UserNotFound
    return user


async def give_role(uow: UnitOfWork, principal: Principal, user_id: uuid.UUID, role: Role | None) -> None:
    """From now on, whatever the identity provider says. None: what it says at the next sign-in counts again.

    Raises:
        UserNotFound
        LastAdministrator: it would take the caller's own administrator's role away.
    """
    user = await _find(uow, user_id)
    if user.id == principal.user_id and role is not Role.ADMIN:
        raise LastAdministrator
    details = {"name": user.name, "from": user.given_role, "to": role}
    user.given_role = role
    user.role = role or user.role
    audit.record(uow, principal, "user.role", target_type="user", target_id=user.id, details=details)


async def sign_out_everywhere(uow: UnitOfWork, principal: Principal, user_id: uuid.UUID) -> int:
    """End all sessions of this person; returns how many."""
    user = await _find(uow, user_id)
    ended = await uow.session.scalars(delete(Session).where(Session.user_id == user.id).returning(Session.id))
    count = len(ended.all())
    details = {"name": user.name, "sessions": count}
    audit.record(uow, principal, "user.sign_out", target_type="user", target_id=user.id, details=details)
    return count
