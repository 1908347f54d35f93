"""Filters of the library under a name: one's own, and those that others share."""

from __future__ import annotations

import uuid

from app.db.models import SavedView
from app.db.repositories import batches
from app.db.repositories import saved_views as repository
from app.db.uow import UnitOfWork
from app.domain.library import VIEW_NAME_LIMIT, VIEW_QUERY_LIMIT, VIEWS_PER_PERSON, Choice, SavedViewOut
from app.domain.permissions import Permission, Principal
from app.errors import Forbidden, SavedViewLimit, SavedViewNotFound
from app.services import audit

_CHOICES = 200


async def list_views(uow: UnitOfWork, principal: Principal) -> list[SavedViewOut]:
    if principal.user_id is None:
        return []
    return [
        SavedViewOut(
            id=view.id, name=view.name, query=view.query, shared=view.shared, own=view.user_id == principal.user_id
        )
        for view in await repository.of(uow.session, principal.user_id)
    ]


async def save_view(uow: UnitOfWork, principal: Principal, name: str, query: str, *, shared: bool) -> None:
    """Under a name that the person has used before, the new filter takes the place of the old one.

    Raises:
        Forbidden: only people have views.
        SavedViewLimit: the person has as many as there may be.
    """
    if principal.user_id is None:
        raise Forbidden
    name = " ".join(name.split())[:VIEW_NAME_LIMIT] or query[:VIEW_NAME_LIMIT]
    view = await repository.get_own(uow.session, principal.user_id, name)
    if view is None:
        if await repository.count_own(uow.session, principal.user_id) >= VIEWS_PER_PERSON:
            raise SavedViewLimit(maximum=VIEWS_PER_PERSON)
        view = SavedView(user_id=principal.user_id, name=name)
        uow.session.add(view)
    view.query, view.shared = query[:VIEW_QUERY_LIMIT], shared
    audit.record(uow, principal, "saved_view.save", target_type="saved_view", details={"name": name, "shared": shared})


async def delete_view(uow: UnitOfWork, principal: Principal, view_id: uuid.UUID) -> None:
    """One's own; an admin may delete anybody's.

    Raises:
        SavedViewNotFound: there is none that the caller may delete.
    """
    only_of = None if principal.may(Permission.ADMINISTRATION_CHANGE) else principal.user_id
    if not await repository.remove(uow.session, view_id, only_of):
        raise SavedViewNotFound
    audit.record(uow, principal, "saved_view.delete", target_type="saved_view", target_id=view_id)


# --- whom and what the library can be limited to


async def submitter_choices(uow: UnitOfWork) -> tuple[list[Choice], list[Choice]]:
    """People and programs."""
    people, programs = await repository.submitters(uow.session, _CHOICES)
    return [Choice(id=key, name=name) for key, name in people], [Choice(id=key, name=name) for key, name in programs]


async def batch_choices(uow: UnitOfWork, principal: Principal) -> list[Choice]:
    """The latest batches that the caller may see."""
    found = await batches.find(uow.session, principal, before=None, limit=_CHOICES)
    return [Choice(id=batch.id, name=batch.name) for batch in found]
