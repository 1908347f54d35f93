"""Jobs over the API."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from litestar import Response, delete, get, head, post
from litestar.di import Provide
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import ServerSentEvent
from litestar.response.base import ASGIResponse

from app.domain.permissions import Permission, Principal
from app.domain.views import JobOut, JobPage
from app.errors import JobNotFound
from app.routes.api.examples import JOB_ANSWER, PAGE_ANSWER
from app.routes.api.filters import Wanted, cursor_of, provide_job_filter
from app.routes.deps import Caller, Parts, ReadUow, Uow, WebParts, WebRequest, parts_of, provide_caller
from app.routes.events import job_events
from app.routes.guards import needs
from app.routes.openapi import problems
from app.routes.ranges import file_response
from app.services import jobs
from app.services.jobs import PAGE_LIMIT, StoredFile

_TAGS = ["jobs"]
_READ = needs(Permission.JOBS_READ)
_CREATE = needs(Permission.JOBS_CREATE)


def _file(media_type: str) -> dict[int, ResponseSpec]:
    """The answers that carry a file or a part of it."""
    texts = {200: "The whole file", 206: "The part that `Range` asked for"}
    return {
        status: ResponseSpec(bytes, generate_examples=False, media_type=media_type, description=text)
        for status, text in texts.items()
    }


JobId = FromPath[uuid.UUID]


# --- list


@get(
    "/jobs",
    opt=_READ,
    dependencies={"wanted": Provide(provide_job_filter)},
    operation_id="listJobs",
    summary="List jobs",
    tags=_TAGS,
    responses={**PAGE_ANSWER, **problems(400)},
)
async def list_jobs(
    read_uow: ReadUow,
    caller: Caller,
    *,
    wanted: Wanted,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=PAGE_LIMIT, description="Jobs on a page")] = 50,
) -> JobPage:
    """Newest first."""
    return await jobs.list_jobs(read_uow, caller, wanted, cursor=cursor_of(cursor), limit=limit)


# --- one job


@get(
    "/jobs/{job_id:uuid}",
    opt=_READ,
    operation_id="getJob",
    summary="Get a job",
    tags=_TAGS,
    responses={**JOB_ANSWER, **problems(404)},
)
async def get_job(request: WebRequest, job_id: JobId) -> ASGIResponse:
    """One job, with its result once it is done."""
    # The busiest call of all: asked for by parameters, parts and caller would cost a task each.
    parts, caller = parts_of(request), await provide_caller(request)
    job = await parts.job_reads.get(parts.store, caller, job_id)
    if job is None:
        raise JobNotFound
    return ASGIResponse(body=job)


@get(
    "/jobs/{job_id:uuid}/events",
    opt=_READ,
    media_type="text/event-stream",
    operation_id="followJob",
    summary="Follow a job",
    tags=_TAGS,
    responses=problems(404),
)
async def follow_job(parts: Parts, caller: Caller, job_id: JobId) -> ServerSentEvent:
    """Server-sent events: an event `job` with the job as JSON at once and at every change, until it is done, failed or
    cancelled (`deleted` if it is deleted). After two minutes the stream ends anyway: connect again."""
    async with parts.store.reading() as uow:
        await jobs.get_job(uow, caller, job_id)
    return job_events(parts, caller, job_id)


@post(
    "/jobs/{job_id:uuid}/cancel",
    opt=_CREATE,
    status_code=200,
    operation_id="cancelJob",
    summary="Cancel a job",
    tags=_TAGS,
    responses=problems(404, 409),
)
async def cancel_job(uow: Uow, caller: Caller, job_id: JobId) -> JobOut:
    """Possible while the job is queued or running."""
    return await jobs.cancel_job(uow, caller, job_id)


@post(
    "/jobs/{job_id:uuid}/retry",
    opt=_CREATE,
    status_code=200,
    operation_id="retryJob",
    summary="Try a job again",
    tags=_TAGS,
    responses=problems(404, 409),
)
async def retry_job(uow: Uow, caller: Caller, job_id: JobId) -> JobOut:
    """Queue a failed or cancelled job again, if its audio is still kept."""
    return await jobs.retry_job(uow, caller, job_id)


@delete(
    "/jobs/{job_id:uuid}",
    opt=_CREATE,
    operation_id="deleteJob",
    summary="Delete a job",
    tags=_TAGS,
    responses=problems(404),
)
async def delete_job(parts: Parts, caller: Caller, job_id: JobId) -> None:
    """Delete the job, its result and its audio."""
    async with parts.store.writing() as uow:
        keys = await jobs.delete_job(uow, caller, job_id)
    for key in keys:
        await parts.files.delete(key)


# --- its files. Neither takes a transaction as a dependency: the file is sent after it has ended.


async def _audio(parts: WebParts, caller: Principal, job_id: uuid.UUID) -> StoredFile:
    async with parts.store.reading() as uow:
        file = await jobs.audio_file(uow, caller, job_id)
    await parts.accesses.note(parts.store, caller, job_id)
    return file


async def _spectrogram(parts: WebParts, caller: Principal, job_id: uuid.UUID) -> StoredFile:
    async with parts.store.reading() as uow:
        return await jobs.spectrogram_file(uow, caller, job_id)


@get(
    "/jobs/{job_id:uuid}/audio",
    opt=_READ,
    operation_id="getJobAudio",
    summary="Get the audio",
    tags=_TAGS,
    responses={**_file("audio/*"), **problems(404)},
)
async def get_audio(request: WebRequest, parts: Parts, caller: Caller, job_id: JobId) -> Response[Any]:
    """The file as it was uploaded. Understands `Range`, `If-Range` and `If-None-Match`."""
    return await file_response(request, parts, await _audio(parts, caller, job_id))


@get(
    "/jobs/{job_id:uuid}/spectrogram.png",
    opt=_READ,
    operation_id="getJobSpectrogram",
    summary="Get the spectrogram",
    tags=_TAGS,
    responses={**_file("image/png"), **problems(404, 409)},
)
async def get_spectrogram(request: WebRequest, parts: Parts, caller: Caller, job_id: JobId) -> Response[Any]:
    """What the network saw, as a picture: time to the right, pitch upwards. There once the job is done."""
    return await file_response(request, parts, await _spectrogram(parts, caller, job_id))


@head("/jobs/{job_id:uuid}/audio", opt=_READ, include_in_schema=False)
async def head_audio(request: WebRequest, parts: Parts, caller: Caller, job_id: JobId) -> Response[None]:
    return await file_response(request, parts, await _audio(parts, caller, job_id))


@head("/jobs/{job_id:uuid}/spectrogram.png", opt=_READ, include_in_schema=False)
async def head_spectrogram(request: WebRequest, parts: Parts, caller: Caller, job_id: JobId) -> Response[None]:
    return await file_response(request, parts, await _spectrogram(parts, caller, job_id))


HANDLERS = [
    list_jobs,
    get_job,
    follow_job,
    cancel_job,
    retry_job,
    delete_job,
    get_audio,
    get_spectrogram,
    head_audio,
    head_spectrogram,
]
