"""Every route says who may use it: ``opt["permission"]``, or ``opt["public"]`` with the reason. Saying nothing closes it."""

from __future__ import annotations

from collections.abc import Mapping

from app.domain.permissions import Permission, Principal
from app.errors import Forbidden, Unauthenticated

# In the ``opt`` of a public route: nobody is asked who they are, which would take a look into the database.
UNASKED = "unasked"


def needs(permission: Permission) -> dict[str, object]:
    """The ``opt`` of a route for callers with this permission."""
    return {"permission": permission}


def public(reason: str) -> dict[str, object]:
    """The ``opt`` of a route for everybody."""
    return {"public": reason}


def check_permission(caller: Principal | None, opt: Mapping[str, object]) -> None:
    """
    Raises:
        Unauthenticated, Forbidden: the route with this ``opt`` is not for this caller.
    """
    if opt.get("public"):
        return
    if caller is None:
        raise Unauthenticated
    permission = opt.get("permission")
    if not isinstance(permission, Permission) or not caller.may(permission):
        raise Forbidden
