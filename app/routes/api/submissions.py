"""Submitting recordings over the API: as a form, as they are, by address, or sent in parts before."""

from __future__ import annotations

import time
import uuid
from typing import Annotated

import msgspec
from litestar import Response, post
from litestar.datastructures import ResponseHeader
from litestar.di import NamedDependency, Provide
from litestar.params import QueryParameter

from app.domain.jobs import AnalysisScope, JobKind, is_bulk
from app.domain.media import NAME_LIMIT
from app.domain.permissions import Permission, Principal
from app.domain.submissions import ATTRIBUTES_LIMIT_BYTES, URL_LIMIT, JobOptions
from app.domain.views import JobOut
from app.errors import JobNotFound
from app.routes.api.examples import SUBMITTED_ANSWERS
from app.routes.deps import Caller, Parts, WebParts
from app.routes.events import LOOK_AGAIN_S, wait_for_news
from app.routes.guards import needs
from app.routes.idempotency import Created, Idempotency, Once
from app.routes.job_options import JobFields, fields_of_texts, options_of, reference_of_json
from app.routes.openapi import problems
from app.routes.submit_operation import SubmitOperation
from app.routes.uploads import give_up, receive_body, receive_form, small_body
from app.services import jobs, submissions
from app.services.sources import check_source
from app.services.uploads import StoredUpload

_JSON_LIMIT_BYTES = 64 * 1024
_LONGEST_WAIT_S = 30
_LOCATION = ResponseHeader(
    name="Location", value="/api/v1/jobs/…", description="Address of the job", documentation_only=True
)


def _created(job: JobOut) -> Created[JobOut]:
    return Created(content=job, status=200 if job.state.final else 202, location=f"/api/v1/jobs/{job.id}")


# --- the ways in


def _is_bulk(fields: JobFields) -> bool:
    return is_bulk(fields.analyse, fields.batch_id)


async def _submit_file(parts: WebParts, once: Once, upload: StoredUpload, options: JobOptions) -> Response[JobOut]:
    """A file that has just been stored. A repeated request needs it no more."""
    used = False

    async def create() -> Created[JobOut]:
        nonlocal used
        job = await submissions.submit_upload(uow, once.caller, upload, options)
        used = True
        return _created(job)

    try:
        async with parts.store.writing() as uow:
            answer = await once.answer(uow, create, content=_content(upload, options))
    except Exception:
        await give_up(parts, upload)
        raise
    if not used:
        await give_up(parts, upload)
    return answer


def _content(upload: StoredUpload, options: JobOptions) -> bytes:
    """Stands for the body: what makes one request another one."""
    said = [options.kind, options.scope, options.batch_id, options.attributes, options.callback_url, options.force]
    return msgspec.json.encode([upload.sha256, upload.name, *said])


async def _submit_reference(parts: WebParts, once: Once, said: dict[str, str]) -> Response[JobOut]:
    content = await small_body(once.request, _JSON_LIMIT_BYTES)
    reference = reference_of_json(content, said)
    await parts.queue_bound.check(parts.store, once.caller, bulk=_is_bulk(reference))
    options = options_of(reference, parts.config)
    if reference.source_url is not None:
        check_source(reference.source_url, parts.config.intranet)

    async def create() -> Created[JobOut]:
        if reference.source_url is not None:
            job = await submissions.submit_source(uow, once.caller, reference.source_url, options, name=reference.name)
        else:
            assert reference.upload_id is not None
            job = await submissions.submit_direct_upload(uow, once.caller, reference.upload_id, options)
        return _created(job)

    async with parts.store.writing() as uow:
        return await once.answer(uow, create, content=content)


async def _submit_body(parts: WebParts, once: Once, said: dict[str, str]) -> Response[JobOut]:
    fields = fields_of_texts(said)
    options = options_of(fields, parts.config)
    await parts.queue_bound.check(parts.store, once.caller, bulk=_is_bulk(fields))
    return await _submit_file(
        parts, once, await receive_body(once.request, parts, once.caller, fields.name or ""), options
    )


async def _submit_form(parts: WebParts, once: Once, said: dict[str, str]) -> Response[JobOut]:
    bulk = _is_bulk(fields_of_texts(said))
    if bulk:  # told before the file: nobody has to send it for nothing
        await parts.queue_bound.check(parts.store, once.caller, bulk=True)
    received = await receive_form(once.request, parts, once.caller)
    try:
        fields = fields_of_texts({**received.fields, **said})
        options = options_of(fields, parts.config)
        if not bulk:
            await parts.queue_bound.check(parts.store, once.caller, bulk=_is_bulk(fields))
    except Exception:
        await give_up(parts, received.upload)
        raise
    upload = received.upload if fields.name is None else received.upload.named(fields.name)
    return await _submit_file(parts, once, upload, options)


async def _submit(parts: WebParts, once: Once, said: dict[str, str]) -> Response[JobOut]:
    media_type, _ = once.request.content_type
    if media_type == "application/json":
        return await _submit_reference(parts, once, said)
    if media_type.startswith("audio/") or media_type == "application/octet-stream":
        return await _submit_body(parts, once, said)
    return await _submit_form(parts, once, said)


# --- what comes after


async def _wait(parts: WebParts, caller: Principal, job_id: uuid.UUID, wait_s: float) -> JobOut | None:
    """The job once it has ended, or as it is then; None if it was deleted meanwhile. Listens before it looks."""
    ends_at = time.monotonic() + wait_s
    with parts.progress.subscribe() as subscription:
        while True:
            try:
                async with parts.store.reading() as uow:
                    job = await jobs.get_job(uow, caller, job_id)
            except JobNotFound:
                return None
            left_s = ends_at - time.monotonic()
            if job.state.final or left_s <= 0:
                return job
            await wait_for_news(subscription, job_id, min(left_s, LOOK_AGAIN_S))


def _job_of(answer: Response[JobOut]) -> JobOut:
    """A repetition is kept as JSON."""
    content: JobOut | bytes = answer.content
    return msgspec.json.decode(content, type=JobOut) if isinstance(content, bytes) else content


async def provide_query_options(  # noqa: PLR0913, PLR0917  each is a query parameter
    kind: Annotated[str | None, QueryParameter(enum=list(JobKind), description="What to analyse")] = None,
    analyse: Annotated[AnalysisScope | None, QueryParameter(description="The first 30 s, or all of it")] = None,
    batch_id: Annotated[uuid.UUID | None, QueryParameter(description="The batch to add it to")] = None,
    name: Annotated[
        str | None, QueryParameter(min_length=1, max_length=NAME_LIMIT, description="File name, if the file has none")
    ] = None,
    metadata: Annotated[
        str | None,
        QueryParameter(max_length=ATTRIBUTES_LIMIT_BYTES, description="Your own words about it: a JSON object"),
    ] = None,
    callback_url: Annotated[
        str | None,
        QueryParameter(
            max_length=URL_LIMIT, description="Called once the job has ended, signed by the API key's secret"
        ),
    ] = None,
    force: Annotated[bool | None, QueryParameter(description="Analyse it even if the same audio is known")] = None,
) -> dict[str, str]:
    """The options that are given, as texts, like the fields of a form."""
    given = {"kind": kind, "analyse": analyse, "batch_id": batch_id, "name": name, "metadata": metadata}
    given |= {"callback_url": callback_url, "force": None if force is None else str(force).lower()}
    return {option: str(value) for option, value in given.items() if value is not None}


@post(
    "/jobs",
    opt=needs(Permission.JOBS_CREATE),
    status_code=202,
    request_max_body_size=None,
    operation_class=SubmitOperation,
    dependencies={"said": Provide(provide_query_options)},
    operation_id="createJob",
    summary="Submit a recording",
    tags=["jobs"],
    response_headers=[_LOCATION],
    responses={**SUBMITTED_ANSWERS, **problems(400, 404, 409, 413, 415, 422)},
)
async def create_job(
    parts: Parts,
    caller: Caller,
    once: Idempotency,
    said: NamedDependency[dict[str, str]],
    *,
    wait: Annotated[
        int, QueryParameter(ge=0, le=_LONGEST_WAIT_S, description="Seconds to wait for the result before answering")
    ] = 0,
) -> Response[JobOut]:
    """Four ways: the audio as field `file` of multipart/form-data; as the body itself with a `Content-Type` of audio; as
    JSON with `source_url`, from where it is fetched; as JSON with `upload_id`, after sending it in parts.

    The answer comes as soon as the recording is safe (or its address noted): 202 and the job, whose analysis goes on by
    itself. It is 200 if the job has ended already: within `wait` seconds, or because the same audio was analysed before
    by the same model (`deduplicated`; `force` prevents that). Options may be query parameters, form fields or JSON."""
    answer = await _submit(parts, once, said)
    job = _job_of(answer)
    if job.deduplicated:
        await submissions.copy_picture(parts.store, parts.files, job.id)
    if wait and not job.state.final:
        job = await _wait(parts, caller, job.id, wait) or job
        answer = Response(job, status_code=200 if job.state.final else 202, headers=answer.headers)
    return answer


HANDLERS = [create_job]
