"""Jobs as they are shown: to callers of the API, on the pages, in events."""

from __future__ import annotations

import uuid
from collections.abc import Sequence

import msgspec

from app.db.models import Asset, Job
from app.db.repositories import jobs as repository
from app.db.uow import UnitOfWork
from app.domain.failures import WORDS, FailureCode
from app.domain.permissions import Principal
from app.domain.results import GenreResult
from app.domain.reviews import WAITING_STATES
from app.domain.views import AssetOut, FailureOut, JobOut


def _asset_out(asset: Asset) -> AssetOut:
    return AssetOut(
        id=asset.id,
        name=asset.name,
        size_bytes=asset.size_bytes,
        sha256=asset.sha256,
        container=asset.container,
        duration_s=asset.duration_s,
        sample_rate_hz=asset.sample_rate_hz,
        channels=asset.channels,
        title=asset.title,
        artist=asset.artist,
        kept=asset.storage_key is not None,
    )


def failure_out(code: FailureCode, params: dict[str, str | float]) -> FailureOut:
    words = WORDS[code]
    return FailureOut(
        type=f"/docs/errors#{code}",
        code=code,
        title=words.title,
        detail=words.detail.format(**params),
        params=params,
        retryable=not words.final,
    )


def _job_out(job: Job, submitters: dict[uuid.UUID, str]) -> JobOut:
    error = job.error
    submitter = job.user_id or job.api_key_id
    return JobOut(
        id=job.id,
        kind=job.kind,
        scope=job.scope,
        batch_id=job.batch_id,
        state=job.state,
        progress=job.progress,
        attempt=job.attempt,
        created_at=job.created_at,
        started_at=job.started_at,
        finished_at=job.finished_at,
        metadata=job.attributes,
        deduplicated=job.deduplicated,
        submitted_by=submitters.get(submitter) if submitter else None,
        asset=_asset_out(job.asset),
        result=msgspec.convert(job.result, GenreResult) if job.result else None,
        review=job.review.reason if job.review and job.review.state in WAITING_STATES else None,
        label=job.label,
        error=failure_out(FailureCode(error["code"]), error["params"]) if error else None,
    )


def view_of_own(job: Job, submitter: Principal) -> JobOut:
    """What whoever has just submitted a job gets to see of it."""
    return _job_out(job, {ident: submitter.name for ident in (submitter.user_id, submitter.api_key_id) if ident})


async def views(uow: UnitOfWork, jobs: Sequence[Job]) -> list[JobOut]:
    """What callers get to see of jobs, in the same order."""
    submitters = await repository.submitter_names(uow.session, jobs)
    return [_job_out(job, submitters) for job in jobs]
