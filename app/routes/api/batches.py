"""Batches over the API."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Annotated

import msgspec
from litestar import Response, get, post
from litestar.datastructures import ResponseHeader
from litestar.openapi.spec import OpenAPIFormat, OpenAPIMediaType, OpenAPIType, Operation, RequestBody, Schema
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import Meta

from app.domain.batches import NAME_LIMIT, BatchDetailOut, BatchPage
from app.domain.manifests import MANIFEST_LIMIT_BYTES, read_csv, read_json_lines
from app.domain.permissions import Permission
from app.errors import MediaTypeUnsupported
from app.routes.api.examples import BATCH_ANSWER, BATCH_DETAIL, BATCH_PAGE_ANSWER, answer_of
from app.routes.api.filters import cursor_of
from app.routes.deps import Caller, Parts, ReadUow, Uow, WebRequest
from app.routes.guards import needs
from app.routes.idempotency import Created, Idempotency
from app.routes.openapi import problems
from app.services import batches
from app.services.batches import PAGE_LIMIT
from app.services.manifests import Place, add_by_manifest, read_manifest

_TAGS = ["batches"]
_READ = needs(Permission.JOBS_READ)
_CREATE = needs(Permission.JOBS_CREATE)
_LOCATION = ResponseHeader(
    name="Location", value="/api/v1/batches/…", description="Address of the batch", documentation_only=True
)

_READERS = {
    "text/csv": read_csv,
    "application/jsonl": read_json_lines,
    "application/x-ndjson": read_json_lines,
}
_CSV_EXAMPLE = "source_url,name,metadata.catalogue_number\nhttps://files.example/a.flac,morning.flac,1042\n"
_JSON_EXAMPLE = '{"source_url": "https://files.example/a.flac", "metadata": {"catalogue_number": 1042}}\n'
_EXAMPLES = {media_type: _CSV_EXAMPLE if media_type == "text/csv" else _JSON_EXAMPLE for media_type in _READERS}

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
    """Queue again all its failed jobs whose audio is kept or can still be fetched; `batch.done` comes once more when they are finished."""
    return await batches.retry_failed(uow, caller, batch_id)


@dataclass
class ManifestOperation(Operation):
    """The body of a manifest is no JSON, so it has to be described by hand."""

    def __post_init__(self) -> None:
        text = Schema(
            type=OpenAPIType.STRING,
            format=OpenAPIFormat.BINARY,  # client generators hand over a file then, and not its content
            description="Lines; see the operation's description",
        )
        content = {media_type: OpenAPIMediaType(schema=text, example=_EXAMPLES[media_type]) for media_type in _READERS}
        self.request_body = RequestBody(required=True, content=content)


@post(
    "/batches/{batch_id:uuid}/manifest",
    opt=_CREATE,
    status_code=202,
    request_max_body_size=MANIFEST_LIMIT_BYTES,
    operation_class=ManifestOperation,
    operation_id="addManifest",
    summary="Add recordings by a manifest",
    tags=_TAGS,
    responses={**answer_of(BATCH_DETAIL, "The batch", status=202), **problems(400, 404, 413, 415, 422)},
)
async def add_manifest(
    request: WebRequest, parts: Parts, caller: Caller, *, once: Idempotency, batch_id: BatchId
) -> BatchDetailOut:
    """A job for each line, up to 10,000: `source_url` or `upload_id`, and if you like `name`, `analyse`, `force` and
    `metadata` (in CSV a column for each value, `metadata.catalogue_number`). The first line of a CSV names the columns.
    If any line is wrong, nothing is added and `errors` says what is wrong in which line. With an `Idempotency-Key` a
    manifest whose answer was lost can be sent again, and nothing is added twice."""
    read = _READERS.get(request.content_type[0])
    if read is None:
        raise MediaTypeUnsupported
    manifest = await read_manifest(await request.body(), read, parts.config.intranet)
    await parts.queue_bound.check(parts.store, caller, bulk=True, jobs=len(manifest.lines))
    await add_by_manifest(Place(parts.store, parts.files), caller, batch_id, manifest, key=once.key)
    async with parts.store.reading() as uow:
        return await batches.get_batch(uow, caller, batch_id)


HANDLERS = [create_batch, list_batches, get_batch, close_batch, cancel_batch, retry_batch, add_manifest]
