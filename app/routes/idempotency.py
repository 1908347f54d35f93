"""``Idempotency-Key``: a request that creates something may be sent again without creating it twice.

A handler takes ``once: Idempotency`` and returns ``await once.answer(uow, create)``, where ``create`` does the work in the
handler's transaction.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, TypeVar

import msgspec
from litestar import MediaType, Response
from litestar.di import NamedDependency
from litestar.params import HeaderParameter

from app.db.uow import UnitOfWork
from app.domain.permissions import Principal
from app.routes.deps import WebRequest
from app.services.idempotency import KeptAnswer, earlier_answer, keep_answer

KEY_LIMIT = 255
REPLAYED_HEADER = "Idempotency-Replayed"

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Created(Generic[T]):
    """What a request has made, and what it answers. ``repeated`` is answered from then on, if it is not the same:
    a secret is shown once."""

    content: T
    status: int = 201
    location: str | None = None
    repeated: T | None = None


@dataclass(frozen=True, slots=True)
class Once:
    """The key of a request, if it has one."""

    request: WebRequest
    caller: Principal
    key: str | None

    async def answer(
        self, uow: UnitOfWork, create: Callable[[], Awaitable[Created[T]]], *, content: bytes | None = None
    ) -> Response[T]:
        """Create, or answer as before. ``content`` stands for the body of a request that was not read as a whole.

        Raises:
            IdempotencyKeyReused: the key came with another request.
        """
        if self.key is None:
            return _response(await create())
        fingerprint = _fingerprint(self.request, await self.request.body() if content is None else content)
        kept = await earlier_answer(uow, self.caller, self.key, fingerprint)
        if kept is not None:
            return _repetition(kept)
        created = await create()
        await keep_answer(uow, self.caller, self.key, _kept(created))
        return _response(created)


def _fingerprint(request: WebRequest, content: bytes) -> str:
    target = [request.method, request.scope["path"], request.scope["query_string"].decode("latin-1")]
    return hashlib.sha256(msgspec.json.encode(target) + content).hexdigest()


def _headers(location: str | None) -> dict[str, str]:
    return {"Location": location} if location is not None else {}


def _response(created: Created[T]) -> Response[T]:
    return Response(created.content, status_code=created.status, headers=_headers(created.location))


def _kept(created: Created[T]) -> KeptAnswer:
    content = created.content if created.repeated is None else created.repeated
    return KeptAnswer(created.status, msgspec.json.encode(content).decode(), created.location)


def _repetition(kept: KeptAnswer) -> Response[Any]:
    headers = {**_headers(kept.location), REPLAYED_HEADER: "true"}
    return Response(kept.body.encode(), status_code=kept.status, headers=headers, media_type=MediaType.JSON)


async def provide_once(
    request: WebRequest,
    caller: NamedDependency[Principal],
    idempotency_key: Annotated[
        str | None,
        HeaderParameter(
            name="Idempotency-Key",
            min_length=1,
            max_length=KEY_LIMIT,
            pattern=r"^[\x21-\x7e]+$",
            description="Any text of your own, new for each thing to create. The same request with the same key again gets "
            "the same answer, for 24 hours; another request with it a 422.",
        ),
    ] = None,
) -> Once:
    return Once(request, caller, idempotency_key)


Idempotency = NamedDependency[Once]
