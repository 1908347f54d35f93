"""How the installation is doing."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from datetime import datetime, timedelta

from app.db.repositories import dashboard as repository
from app.db.uow import UnitOfWork
from app.domain.dashboard import Dashboard, FailureShare, Hour
from app.domain.failures import WORDS, FailureCode
from app.domain.ids import utc_now
from app.domain.jobs import JobState
from app.services.models import active_model
from app.services.workers import list_workers

_HOURS = 24
_SAMPLE = 1000
_FAILURES = 500
_FAILURES_PERIOD = timedelta(days=7)


def percentile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest value that at least this share of the ordered values does not exceed; None of nothing."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


async def _hours(uow: UnitOfWork, now: datetime) -> list[Hour]:
    """The last hours, the current one last, which is not over."""
    current = now.replace(minute=0, second=0, microsecond=0)
    begins = [current - timedelta(hours=ago) for ago in reversed(range(_HOURS))]
    periods = [(begin, begin + timedelta(hours=1)) for begin in begins]
    done = await repository.count_finished(uow.session, JobState.DONE, periods)
    failed = await repository.count_finished(uow.session, JobState.FAILED, periods)
    return [
        Hour(begins_at=begin, done=done_then, failed=failed_then)
        for begin, done_then, failed_then in zip(begins, done, failed, strict=True)
    ]


async def _failures(uow: UnitOfWork, since: datetime) -> list[FailureShare]:
    errors = await repository.last_failures(uow.session, since, _FAILURES)
    counts = Counter(FailureCode(error["code"]) for error in errors)
    return [FailureShare(code=code, title=WORDS[code].title, count=count) for code, count in counts.most_common()]


async def dashboard(uow: UnitOfWork, *, midnight: datetime) -> Dashboard:
    """``midnight``: when today began where the reader is."""
    now = utc_now()
    unfinished = await repository.count_unfinished(uow.session)
    results = await repository.last_results(uow.session, _SAMPLE)
    took_s = sorted((row.finished_at - row.created_at).total_seconds() for row in results)
    model = await active_model(uow)
    [done_per_hour] = await repository.count_finished(uow.session, JobState.DONE, [(now - timedelta(hours=1), now)])
    return Dashboard(
        uploads_today=await repository.count_added(uow.session, midnight),
        queued=unfinished.get(JobState.QUEUED, 0),
        running=unfinished.get(JobState.RUNNING, 0),
        waiting_for_review=await repository.count_waiting_reviews(uow.session),
        done_per_hour=done_per_hour,
        sample=len(results),
        median_s=percentile(took_s, 0.5),
        p95_s=percentile(took_s, 0.95),
        review_share=sum(row.reviewed for row in results) / len(results) if results else None,
        hours=await _hours(uow, now),
        failures=await _failures(uow, now - _FAILURES_PERIOD),
        failures_since=now - _FAILURES_PERIOD,
        workers=await list_workers(uow),
        model=f"{model.name} {model.version}" if model else None,
    )
