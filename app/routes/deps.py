"""What handlers are given: the one place where HTTP meets the database, the storage and the live progress."""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any, Protocol

from litestar import Litestar, Request
from litestar.connection import ASGIConnection
from litestar.datastructures import State
from litestar.di import NamedDependency, Provide

from app.db.uow import Store, UnitOfWork
from app.domain.addresses import IntranetHosts
from app.domain.permissions import Principal, Role
from app.domain.preferences import Preferences
from app.errors import Unauthenticated
from app.integrations.clamd import Clamd
from app.integrations.files import Files
from app.integrations.oidc import IdentityProvider
from app.integrations.rate_limits import RateLimits
from app.services.accounts import SignedIn
from app.services.audit_access import AccessLog
from app.services.backpressure import QueueBound
from app.services.job_reads import JobReads
from app.services.monitoring import LiveFigures
from app.services.preferences import LivePreferences

Connection = ASGIConnection[Any, Principal | None, SignedIn | None, State]
WebRequest = Request[Principal | None, SignedIn | None, State]


class Subscription(Protocol):
    async def wait(self, timeout_s: float) -> set[uuid.UUID]:
        """Ids of the jobs that changed since the last call; empty after ``timeout_s`` without a change."""


class LiveProgress(Protocol):
    def subscribe(self) -> AbstractContextManager[Subscription]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RolePolicy:
    """How the claims of an identity provider become a role."""

    claim: str
    role_map: dict[str, Role]
    default: Role | None


@dataclass(frozen=True, slots=True, kw_only=True)
class WebConfig:
    """The settings that the web process needs, as plain values."""

    base_url: str
    local_mode: bool
    signing_key: str = field(repr=False)
    session_lifetime: timedelta
    roles: RolePolicy
    defaults: Preferences
    time_zone: str
    static_dir: Path
    static_version: str
    oidc_audience: str | None
    rate_limits: Mapping[Role, int]
    api_keys_per_user: int
    intranet: IntranetHosts
    data_dir: Path
    metrics_token: str | None = field(repr=False)

    @property
    def https(self) -> bool:
        return self.base_url.startswith("https://")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebParts:
    """What the web process is assembled of. Handlers that stream take it and open short units of work by themselves."""

    config: WebConfig
    store: Store
    files: Files
    progress: LiveProgress
    preferences: LivePreferences
    provider: IdentityProvider | None
    rate_limits: RateLimits
    scanner: Clamd | None = None
    job_reads: JobReads = field(default_factory=JobReads)
    queue_bound: QueueBound
    figures: LiveFigures = field(default_factory=LiveFigures)
    accesses: AccessLog = field(default_factory=AccessLog)
    check_redis: Callable[[], Awaitable[None]]


def parts_of_app(app: Litestar) -> WebParts:
    parts: WebParts = app.state.parts
    return parts


def parts_of(connection: Connection) -> WebParts:
    return parts_of_app(connection.app)


async def provide_parts(request: WebRequest) -> WebParts:
    return parts_of(request)


async def provide_caller(request: WebRequest) -> Principal:
    """Who is asking. Only routes that declare a permission may take it: the guard has let the caller in."""
    if request.user is None:
        raise Unauthenticated
    return request.user


async def provide_uow(parts: NamedDependency[WebParts]) -> AsyncGenerator[UnitOfWork, None]:
    """One request, one transaction: committed after the handler and the rendering, before the response starts."""
    async with parts.store.writing() as uow:
        yield uow


async def provide_read_uow(parts: NamedDependency[WebParts]) -> AsyncGenerator[UnitOfWork, None]:
    async with parts.store.reading() as uow:
        yield uow


# Of ``uow`` and ``read_uow`` a handler takes one: two clean-ups that fail would become one unreadable error.
DEPENDENCIES = {
    "parts": Provide(provide_parts),
    "caller": Provide(provide_caller),
    "uow": Provide(provide_uow),
    "read_uow": Provide(provide_read_uow),
}

Parts = NamedDependency[WebParts]
Caller = NamedDependency[Principal]
Uow = NamedDependency[UnitOfWork]
ReadUow = NamedDependency[UnitOfWork]
