"""Who may do what. ``Principal.may`` is the only test of a role in the code."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass


class Role(enum.StrEnum):
    """Each role may do what the ones before it may."""

    VIEWER = "viewer"
    UPLOADER = "uploader"
    REVIEWER = "reviewer"
    ADMIN = "admin"


_RANK = {role: rank for rank, role in enumerate(Role)}


class Permission(enum.StrEnum):
    JOBS_READ = "jobs:read"
    JOBS_CREATE = "jobs:create"
    JOBS_DELETE_ANY = "jobs:delete_any"
    MODELS_READ = "models:read"


_NEEDED = {
    Permission.JOBS_READ: Role.VIEWER,
    Permission.MODELS_READ: Role.VIEWER,
    Permission.JOBS_CREATE: Role.UPLOADER,
    Permission.JOBS_DELETE_ANY: Role.ADMIN,
}


def highest_role(roles: list[Role]) -> Role | None:
    return max(roles, key=_RANK.__getitem__, default=None)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a person (``user_id``) or a program (``api_key_id``)."""

    name: str
    role: Role
    user_id: uuid.UUID | None = None
    api_key_id: uuid.UUID | None = None

    def may(self, permission: Permission) -> bool:
        return _RANK[self.role] >= _RANK[_NEEDED[permission]]
