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
    BATCHES_SEE_PRIVATE = "batches:see_private"
    MODELS_READ = "models:read"
    MODELS_MANAGE = "models:manage"
    VIEWS_SAVE = "views:save"
    ADMINISTRATION_READ = "administration:read"
    ADMINISTRATION_CHANGE = "administration:change"
    API_KEYS_READ = "api_keys:read"
    API_KEYS_MANAGE = "api_keys:manage"
    API_KEYS_MANAGE_ANY = "api_keys:manage_any"
    GUIDE_CHANGE = "guide:change"
    WEBHOOKS_READ = "webhooks:read"
    WEBHOOKS_MANAGE = "webhooks:manage"
    WEBHOOKS_MANAGE_ANY = "webhooks:manage_any"
    REVIEWS_READ = "reviews:read"
    REVIEWS_DECIDE = "reviews:decide"
    REVIEWS_ARBITRATE = "reviews:arbitrate"


_NEEDED = {
    Permission.JOBS_READ: Role.VIEWER,
    Permission.MODELS_READ: Role.VIEWER,
    Permission.VIEWS_SAVE: Role.VIEWER,
    Permission.JOBS_CREATE: Role.UPLOADER,
    Permission.API_KEYS_READ: Role.UPLOADER,
    Permission.API_KEYS_MANAGE: Role.UPLOADER,
    Permission.API_KEYS_MANAGE_ANY: Role.ADMIN,
    Permission.GUIDE_CHANGE: Role.REVIEWER,
    Permission.WEBHOOKS_READ: Role.UPLOADER,
    Permission.WEBHOOKS_MANAGE: Role.UPLOADER,
    Permission.WEBHOOKS_MANAGE_ANY: Role.ADMIN,
    Permission.REVIEWS_READ: Role.REVIEWER,
    Permission.REVIEWS_DECIDE: Role.REVIEWER,
    Permission.REVIEWS_ARBITRATE: Role.ADMIN,
    Permission.MODELS_MANAGE: Role.ADMIN,
    Permission.JOBS_DELETE_ANY: Role.ADMIN,
    Permission.ADMINISTRATION_READ: Role.ADMIN,
    Permission.ADMINISTRATION_CHANGE: Role.ADMIN,
    Permission.BATCHES_SEE_PRIVATE: Role.ADMIN,
}


def lower_role(one: Role, other: Role) -> Role:
    return min(one, other, key=_RANK.__getitem__)


def highest_role(roles: list[Role]) -> Role | None:
    return max(roles, key=_RANK.__getitem__, default=None)


@dataclass(frozen=True, slots=True)
class Principal:
    """Who is asking: a person (``user_id``) or a program (``api_key_id``). ``scopes`` narrow what the role allows."""

    name: str
    role: Role
    user_id: uuid.UUID | None = None
    api_key_id: uuid.UUID | None = None
    scopes: frozenset[Permission] | None = None

    @property
    def ident(self) -> str:
        """Tells callers apart, for ever."""
        return f"user:{self.user_id}" if self.user_id is not None else f"key:{self.api_key_id}"

    def may(self, permission: Permission) -> bool:
        in_scope = self.scopes is None or permission in self.scopes
        return in_scope and _RANK[self.role] >= _RANK[_NEEDED[permission]]
