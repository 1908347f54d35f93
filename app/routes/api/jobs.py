"""Jobs over the API."""

from __future__ import annotations

import uuid

from litestar import get
from litestar.params import FromPath

from app.domain.permissions import Permission
from app.domain.views import JobOut
from app.routes.deps import ReadUow
from app.routes.guards import needs
from app.services import jobs


@get("/jobs/{job_id:uuid}", opt=needs(Permission.JOBS_READ), operation_id="getJob", summary="Get a job", tags=["jobs"])
async def get_job(read_uow: ReadUow, job_id: FromPath[uuid.UUID]) -> JobOut:
    """One job, with its result once it is done."""
    return await jobs.get_job(read_uow, job_id)


HANDLERS = [get_job]
