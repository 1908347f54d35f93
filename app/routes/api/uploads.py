"""Large files in parts, over the API."""

from __future__ import annotations

import uuid
from typing import Annotated

from litestar import Response, delete, get, post, put
from litestar.datastructures import ResponseHeader
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter

from app.domain.keys import part_key
from app.domain.permissions import Permission
from app.domain.submissions import NewUpload, UploadOut
from app.routes.api.examples import COMPLETE_UPLOAD, OPEN_UPLOAD, answer_of
from app.routes.deps import Caller, Parts, Uow, WebRequest
from app.routes.guards import UNASKED, needs, public
from app.routes.idempotency import Created, Idempotency
from app.routes.openapi import problems
from app.routes.signed_parts import check_part_address, part_urls
from app.routes.submit_operation import PartOperation
from app.routes.uploads import receive_part
from app.services import direct_uploads

_TAGS = ["uploads"]
_CREATE = needs(Permission.JOBS_CREATE)
_SIGNED = {**public("the address is signed, like one of S3, which would refuse credentials beside it"), UNASKED: True}
_LOCATION = ResponseHeader(
    name="Location", value="/api/v1/uploads/…", description="Address of the upload", documentation_only=True
)
_COMPLETE = answer_of(COMPLETE_UPLOAD, "The upload")

UploadId = FromPath[uuid.UUID]


@post(
    "/uploads",
    opt=_CREATE,
    status_code=201,
    operation_id="createUpload",
    summary="Begin an upload in parts",
    tags=_TAGS,
    response_headers=[_LOCATION],
    responses={**answer_of(OPEN_UPLOAD, "Where to send the parts", status=201), **problems(400, 409, 413, 422)},
)
async def create_upload(
    uow: Uow, parts: Parts, caller: Caller, once: Idempotency, *, data: JSONBody[NewUpload]
) -> Response[UploadOut]:
    """For large files: send each part by PUT to its address, which is signed and takes no credentials, several at the
    same time and again if one fails. Then complete the upload, and submit it by `upload_id`. Where files are kept in S3
    the parts go there directly."""

    async def create() -> Created[UploadOut]:
        await parts.queue_bound.check(parts.store, caller, bulk=False)
        limit_bytes = parts.preferences.value.upload_limit_bytes
        upload = await direct_uploads.start_upload(uow, caller, data, limit_bytes=limit_bytes)
        view = direct_uploads.upload_out(upload, await part_urls(parts, upload))
        return Created(content=view, location=f"/api/v1/uploads/{upload.id}")

    return await once.answer(uow, create)


@get(
    "/uploads/{upload_id:uuid}",
    opt=needs(Permission.JOBS_READ),
    operation_id="getUpload",
    summary="Get an upload",
    tags=_TAGS,
    responses={**answer_of(OPEN_UPLOAD, "The upload"), **problems(404)},
)
async def get_upload(parts: Parts, caller: Caller, upload_id: UploadId) -> UploadOut:
    """With the addresses of its parts, as long as it is open."""
    async with parts.store.reading() as uow:
        upload = await direct_uploads.find_upload(uow, caller, upload_id)
    return direct_uploads.upload_out(upload, await part_urls(parts, upload))


@put(
    "/uploads/{upload_id:uuid}/parts/{number:int}",
    opt=_SIGNED,
    status_code=200,
    request_max_body_size=None,
    operation_class=PartOperation,
    operation_id="putUploadPart",
    summary="Send a part",
    tags=_TAGS,
    security=[{}],
    responses={
        200: ResponseSpec(None, generate_examples=False, description="The part is stored"),
        **problems(400, 404, 413),
    },
)
async def put_part(
    request: WebRequest,
    parts: Parts,
    upload_id: UploadId,
    number: FromPath[int],
    *,
    expires: Annotated[int, QueryParameter(ge=0, le=2**40, description="Part of the address")],
    signature: Annotated[str, QueryParameter(min_length=64, max_length=64, description="Part of the address")],
) -> None:
    """Exactly the bytes of this part. Use the address as the upload gave it; it may also be one of S3. Sending a part
    again replaces it."""
    check_part_address(parts.config, upload_id, number, expires=expires, signature=signature)
    async with parts.store.reading() as uow:
        size_bytes = await direct_uploads.expected_part_bytes(uow, upload_id, number)
    await receive_part(request, parts, part_key(upload_id, number), size_bytes)


@post(
    "/uploads/{upload_id:uuid}/complete",
    opt=_CREATE,
    status_code=200,
    operation_id="completeUpload",
    summary="Complete an upload",
    tags=_TAGS,
    responses={**_COMPLETE, **problems(404, 409, 415, 422)},
)
async def complete_upload(parts: Parts, caller: Caller, upload_id: UploadId) -> UploadOut:
    """All parts have been sent: they are put together and looked at. Completing it again changes nothing."""
    upload = await direct_uploads.complete_upload(parts.store, parts.files, caller, upload_id, scanner=parts.scanner)
    return direct_uploads.upload_out(upload, [])


@delete(
    "/uploads/{upload_id:uuid}",
    opt=_CREATE,
    operation_id="deleteUpload",
    summary="Delete an upload",
    tags=_TAGS,
    responses=problems(404),
)
async def delete_upload(parts: Parts, caller: Caller, upload_id: UploadId) -> None:
    """Forget it and what has been sent of it."""
    async with parts.store.writing() as uow:
        keys = await direct_uploads.drop_upload(uow, caller, upload_id)
    for key in keys:
        await parts.files.delete(key)


HANDLERS = [create_upload, get_upload, put_part, complete_upload, delete_upload]
