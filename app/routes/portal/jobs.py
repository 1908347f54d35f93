"""Recordings: the list, one of them, and what can be done with it."""

from __future__ import annotations

import uuid

from litestar import Response, get, post
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Redirect, Template

from app.domain.permissions import Permission, Principal
from app.domain.views import JobOut
from app.errors import JobNotFound
from app.routes.deps import Caller, Parts, ReadUow, Uow, WebRequest
from app.routes.guards import needs
from app.routes.pages import page
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import JobPage, JobPanel, JobRow, may_change
from app.services import jobs

# --- the list


@get("/jobs", opt=needs(Permission.JOBS_READ))
async def list_page(request: WebRequest) -> Redirect:
    """Where the list was before there was a library: old links lead there."""
    query = request.url.query
    return Redirect("/library" + (f"?{query}" if query else ""), status_code=301)


# --- one recording


def _to_the_list() -> Response[str]:
    return Response("", headers={"HX-Redirect": "/library"}, media_type=MediaType.HTML)


def _panel(caller: Principal, job: JobOut) -> JobPanel:
    may_teach = job.label is not None and job.asset.kept and caller.may(Permission.GUIDE_CHANGE)
    return JobPanel(job=job, own=may_change(caller, job), may_teach=may_teach)


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
