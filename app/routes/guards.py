"""Every route says who may use it: ``opt["permission"]``, or ``opt["public"]`` with the reason. Saying nothing closes it."""

from __future__ import annotations

from litestar.handlers import BaseRouteHandler

from app.domain.permissions import Permission
from app.errors import Forbidden, Unauthenticated
from app.routes.deps import Connection

# In the ``opt`` of a public route: nobody is asked who they are, which would take a look into the database.
UNASKED = "unasked"


def needs(permission: Permission) -> dict[str, object]:
    """The ``opt`` of a route for callers with this permission."""
    return {"permission": permission}


def public(reason: str) -> dict[str, object]:
    """The ``opt`` of a route for everybody."""
    return {"public": reason}


async def requires_permission(connection: Connection, handler: BaseRouteHandler) -> None:
    """Async, although it waits for nothing: Litestar would give a plain function a thread for every request."""
    if handler.opt.get("public"):
        return
    if connection.user is None:
        raise Unauthenticated
    permission = handler.opt.get("permission")
    if not isinstance(permission, Permission) or not connection.user.may(permission):
        raise Forbidden
