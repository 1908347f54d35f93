"""Recordings: the list, one of them, and what can be done with it."""

from __future__ import annotations

import enum
import uuid
from typing import TypeVar
from urllib.parse import urlencode

from litestar import Response, get, post
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Template

from app.domain.genres import GENRE_IDS, Tier
from app.domain.jobs import JobState
from app.domain.permissions import Permission, Principal
from app.domain.views import JobOut
from app.errors import JobNotFound
from app.routes.deps import Caller, Parts, ReadUow, Uow, WebRequest
from app.routes.guards import needs
from app.routes.pages import asked_by_script, page
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import JobPage, JobPanel, JobRow, JobsPage, JobsPart, JobsQuery, may_change
from app.services import jobs
from app.services.jobs import JobFilter

_PAGE_LENGTH = 30

_Choice = TypeVar("_Choice", bound=enum.StrEnum)


# --- the list


def _choice(kind: type[_Choice], value: str | None) -> _Choice | None:
    """An old or mistyped address shows more rather than an error."""
    return kind(value) if value in set(kind) else None


def _query_of(request: WebRequest) -> JobsQuery:
    sent = request.query_params
    genre = sent.get("genre")
    return JobsQuery(
        text=(sent.get("text") or "").strip()[:200],
        state=_choice(JobState, sent.get("state")),
        genre=genre if genre in GENRE_IDS else None,
        tier=_choice(Tier, sent.get("tier")),
        review=bool(sent.get("review")),
    )


def _cursor_of(request: WebRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.query_params.get("cursor", ""))
    except ValueError:
        return None


def _filter_of(query: JobsQuery) -> JobFilter:
    return JobFilter(
        text=query.text or None,
        state=query.state,
        genre=query.genre,
        tier=query.tier,
        needs_review=query.review or None,
    )


def _address(query: JobsQuery, cursor: str | None = None) -> str:
    parameters = query.parameters() | ({"cursor": cursor} if cursor else {})
    return "/jobs" + (f"?{urlencode(parameters)}" if parameters else "")


@get("/jobs", opt=needs(Permission.JOBS_READ))
async def list_page(request: WebRequest, caller: Caller, read_uow: ReadUow, notices: AllNotices) -> Template:
    """The page; for the filter its table; for "show more" the next rows."""
    query, cursor = _query_of(request), _cursor_of(request)
    found = await jobs.list_jobs(read_uow, caller, _filter_of(query), cursor=cursor, limit=_PAGE_LENGTH)
    more = _address(query, found.next_cursor) if found.next_cursor else None
    part = JobsPart(query=query, jobs=found.items, more_address=more)
    if not asked_by_script(request):
        return page(request, "jobs/list.html", JobsPage(notices=notices, part=part))
    if cursor is not None:
        return page(request, "jobs/rows.html", part)
    return page(request, "jobs/results.html", part, headers={"HX-Push-Url": _address(query)})


# --- one recording


def _to_the_list() -> Response[str]:
    return Response("", headers={"HX-Redirect": "/jobs"}, media_type=MediaType.HTML)


def _panel(caller: Principal, job: JobOut) -> JobPanel:
    return JobPanel(job=job, own=may_change(caller, job))


@get("/jobs/{job_id:uuid}", opt=needs(Permission.JOBS_READ))
async def job_page(
    request: WebRequest, caller: Caller, *, read_uow: ReadUow, notices: AllNotices, job_id: FromPath[uuid.UUID]
) -> Template:
    job = await jobs.get_job(read_uow, caller, job_id)
    return page(request, "jobs/job.html", JobPage(notices=notices, panel=_panel(caller, job)))


@get("/jobs/{job_id:uuid}/panel", opt=needs(Permission.JOBS_READ))
async def job_panel(
    request: WebRequest, caller: Caller, read_uow: ReadUow, job_id: FromPath[uuid.UUID]
) -> Template | Response[str]:
    """The page's changing part as it is now; once the job is deleted there is only the list to go to."""
    try:
        job = await jobs.get_job(read_uow, caller, job_id)
    except JobNotFound:
        return _to_the_list()
    return page(request, "jobs/panel.html", _panel(caller, job))


@get("/jobs/{job_id:uuid}/row", opt=needs(Permission.JOBS_READ))
async def job_row(
    request: WebRequest, caller: Caller, read_uow: ReadUow, job_id: FromPath[uuid.UUID]
) -> Template | Response[str]:
    """The row as it is now; nothing once the job is deleted, so that the row goes away."""
    try:
        job = await jobs.get_job(read_uow, caller, job_id)
    except JobNotFound:
        return Response("", media_type=MediaType.HTML)
    return page(request, "jobs/row.html", JobRow(job=job))


@post("/jobs/{job_id:uuid}/cancel", opt=needs(Permission.JOBS_CREATE), status_code=200)
async def cancel(request: WebRequest, caller: Caller, uow: Uow, job_id: FromPath[uuid.UUID]) -> Template:
    return page(request, "jobs/panel.html", _panel(caller, await jobs.cancel_job(uow, caller, job_id)))


@post("/jobs/{job_id:uuid}/retry", opt=needs(Permission.JOBS_CREATE), status_code=200)
async def retry(request: WebRequest, caller: Caller, uow: Uow, job_id: FromPath[uuid.UUID]) -> Template:
    return page(request, "jobs/panel.html", _panel(caller, await jobs.retry_job(uow, caller, job_id)))


@post("/jobs/{job_id:uuid}/delete", opt=needs(Permission.JOBS_CREATE), status_code=200)
async def delete(parts: Parts, caller: Caller, job_id: FromPath[uuid.UUID]) -> Response[str]:
    """The files go after the commit: better a file without a job than a job without its file."""
    async with parts.store.writing() as uow:
        keys = await jobs.delete_job(uow, caller, job_id)
    for key in keys:
        await parts.files.delete(key)
    return _to_the_list()
