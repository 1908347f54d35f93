"""Batches over the API."""

from __future__ import annotations

import uuid
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.datastructures import ResponseHeader
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from app.domain.batches import NAME_LIMIT, BatchDetailOut, BatchPage
from app.domain.permissions import Permission
from app.routes.api.examples import BATCH_ANSWER, BATCH_PAGE_ANSWER
from app.routes.api.filters import cursor_of
from app.routes.deps import Caller, Parts, ReadUow, Uow
from app.routes.guards import needs
from app.routes.idempotency import Created, Idempotency
from app.routes.openapi import problems
from app.services import batches
from app.services.batches import PAGE_LIMIT

_TAGS = ["batches"]
_READ = needs(Permission.JOBS_READ)
_CREATE = needs(Permission.JOBS_CREATE)
_LOCATION = ResponseHeader(
    name="Location", value="/api/v1/batches/…", description="Address of the batch", documentation_only=True
)

BatchId = FromPath[uuid.UUID]


class NewBatch(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A batch to be created."""

    name: Annotated[
        str,
        Meta(min_length=1, max_length=NAME_LIMIT, pattern=r"^[^\x00-\x1f\x7f]*$", examples=["Spring catalogue"]),
    ]
    private: Annotated[bool, Meta(description="True: only you and admins see it and its jobs")] = False


@post(
    "/batches",
    opt=_CREATE,
    status_code=201,
    operation_id="createBatch",
    summary="Create a batch",
    tags=_TAGS,
    response_headers=[_LOCATION],
    responses=problems(400, 422),
)
async def create_batch(
    uow: Uow, caller: Caller, once: Idempotency, data: JSONBody[NewBatch]
) -> Response[BatchDetailOut]:
    """An open, empty batch. Add to it by `batch_id` of `POST /api/v1/jobs` or by a manifest, then close it."""

    async def create() -> Created[BatchDetailOut]:
        batch = await batches.create_batch(uow, caller, data.name, private=data.private)
        return Created(content=batch, location=f"/api/v1/batches/{batch.id}")

    return await once.answer(uow, create)


@get(
    "/batches",
    opt=_READ,
    operation_id="listBatches",
    summary="List batches",
    tags=_TAGS,
    responses={**BATCH_PAGE_ANSWER, **problems(400)},
)
async def list_batches(
    read_uow: ReadUow,
    caller: Caller,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=PAGE_LIMIT, description="Batches on a page")] = 50,
) -> BatchPage:
    """Newest first; of private batches only your own."""
    return await batches.list_batches(read_uow, caller, cursor=cursor_of(cursor), limit=limit)


@get(
    "/batches/{batch_id:uuid}",
    opt=_READ,
    operation_id="getBatch",
    summary="Get a batch",
    tags=_TAGS,
    responses={**BATCH_ANSWER, **problems(404)},
)
async def get_batch(read_uow: ReadUow, caller: Caller, batch_id: BatchId) -> BatchDetailOut:
    """Its progress, with rate and remaining time, and what came of it so far. Its jobs: `GET /api/v1/jobs?batch_id=`."""
    return await batches.get_batch(read_uow, caller, batch_id)


@post(
    "/batches/{batch_id:uuid}/close",
    opt=_CREATE,
    status_code=200,
    operation_id="closeBatch",
    summary="Close a batch",
    tags=_TAGS,
    responses={**BATCH_ANSWER, **problems(404)},
)
async def close_batch(uow: Uow, caller: Caller, batch_id: BatchId) -> BatchDetailOut:
    """Say that all its jobs have been submitted: as soon as they are finished the batch is done, and the event `batch.done`
    tells it. A batch to which nothing happens for ten minutes is closed by itself; adding to it opens it again."""
    return await batches.close_batch(uow, caller, batch_id)


@post(
    "/batches/{batch_id:uuid}/cancel",
    opt=_CREATE,
    status_code=200,
    operation_id="cancelBatch",
    summary="Cancel a batch",
    tags=_TAGS,
    responses={**BATCH_ANSWER, **problems(404)},
)
async def cancel_batch(parts: Parts, caller: Caller, batch_id: BatchId) -> BatchDetailOut:
    """Close it and cancel all jobs of it that are not finished."""
    return await batches.cancel_batch(parts.store, caller, batch_id)


@post(
    "/batches/{batch_id:uuid}/retry",
    opt=_CREATE,
    status_code=200,
    operation_id="retryBatch",
    summary="Try failed jobs again",
    tags=_TAGS,
    responses={**BATCH_ANSWER, **problems(404)},
)
async def retry_batch(uow: Uow, caller: Caller, batch_id: BatchId) -> BatchDetailOut:
    """Queue again all its failed jobs whose audio is kept; `batch.done` comes once more when they are finished."""
    return await batches.retry_failed(uow, caller, batch_id)


HANDLERS = [create_batch, list_batches, get_batch, close_batch, cancel_batch, retry_batch]
