"""How long jobs wait: overload shows here, never as a failure of what was accepted."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import case, func, or_, select

from app.db.models import Job
from app.db.uow import UnitOfWork
from app.domain.ids import utc_now
from app.domain.jobs import AnalysisScope, JobState
from app.domain.views import LineOut, QueueOut


async def queue_state(uow: UnitOfWork) -> QueueOut:
    """The queued jobs. How long one has waited counts only until it is taken up for the first time."""
    bulk = or_(Job.batch_id.is_not(None), Job.scope == AnalysisScope.FULL)
    fresh = case((Job.attempt == 0, Job.created_at))
    query = select(bulk, func.count(), func.min(fresh)).where(Job.state == JobState.QUEUED).group_by(bulk)
    lines = {bool(is_bulk): _line(jobs, since) for is_bulk, jobs, since in await uow.session.execute(query)}
    return QueueOut(urgent=lines.get(False, _line(0, None)), bulk=lines.get(True, _line(0, None)))


def _line(jobs: int, since: datetime | None) -> LineOut:
    return LineOut(jobs=jobs, longest_wait_s=(utc_now() - since).total_seconds() if since else None)
