"""Reports on a batch or any other selection of jobs. They stream: one page of jobs is in memory at a time."""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

import msgspec
from sqlalchemy import Row

from app.db.models import Job
from app.db.repositories import reports as repository
from app.db.repositories.jobs import JobFilter, get_visible
from app.db.uow import UnitOfWork
from app.domain.failures import FailureCode
from app.domain.jobs import JobState
from app.domain.permissions import Principal
from app.domain.reports import TOP, ReportFormat, ReportRow
from app.domain.results import GenreScore
from app.errors import JobNotFound, ResultNotReady
from app.i18n import Reader
from app.services.report_annotations import jams_archive, jams_document
from app.services.report_tables import csv_file, xlsx_file

# Opens a short transaction that only reads.
Reading = Callable[[], AbstractAsyncContextManager[UnitOfWork]]

_PAGE_ROWS = 500
_PAGE_RESULTS = 20  # of whole results: one of ten hours has thousands of windows


def report(
    reading: Reading,
    principal: Principal,
    wanted: JobFilter,
    report_format: ReportFormat,
    *,
    reader: Reader | None = None,
) -> AsyncIterator[bytes]:
    """The jobs as a file, in the order of their submission.

    ``reader``: CSV and XLSX in the words of this person; without one in the ids of the API.
    """
    rows = _row_pages(reading, principal, wanted)
    match report_format:
        case ReportFormat.CSV:
            return csv_file(rows, reader)
        case ReportFormat.XLSX:
            return xlsx_file(rows, reader)
        case ReportFormat.JSON_LINES:
            return _json_lines(rows)
        case ReportFormat.JSON:
            return _json_array(rows)
        case ReportFormat.JAMS:
            return jams_archive(_result_pages(reading, principal, wanted))


async def job_as_jams(uow: UnitOfWork, principal: Principal, job_id: uuid.UUID) -> dict[str, Any]:
    """The JAMS document of one finished job.

    Raises:
        JobNotFound, ResultNotReady
    """
    job = await get_visible(uow.session, principal, job_id)
    if job is None:
        raise JobNotFound
    if job.result is None:
        raise ResultNotReady
    names = await repository.reviewers(uow.session, [job.id])
    return jams_document(job, names.get(job.id, []))


# --- pages


async def _row_pages(reading: Reading, principal: Principal, wanted: JobFilter) -> AsyncIterator[list[ReportRow]]:
    after: uuid.UUID | None = None
    while True:
        async with reading() as uow:
            found = await repository.rows(uow.session, principal, wanted, after=after, limit=_PAGE_ROWS)
            names = await repository.reviewers(uow.session, [row.id for row in found])
        if found:
            yield [_report_row(row, names.get(row.id, [])) for row in found]
            after = found[-1].id
        if len(found) < _PAGE_ROWS:
            return


def _report_row(row: Row[Any], reviewers: Sequence[str]) -> ReportRow:
    timings = row.timings_ms
    scores = msgspec.convert((row.probabilities or [])[:TOP], list[GenreScore])
    return ReportRow(
        file=row.name,
        title=row.title,
        artist=row.artist,
        top_1=row.genre,
        probability=row.probability,
        tier=row.tier,
        top_5=scores,
        final_label=row.label,
        reviewer=", ".join(reviewers) or None,
        analysis_s=round((timings["total"] - timings["queued"]) / 1000, 3) if timings else None,
        finished_at=row.finished_at,
        job_id=row.id,
        state=row.state,
        error=FailureCode(row.error["code"]) if row.error else None,
    )


async def _result_pages(
    reading: Reading, principal: Principal, wanted: JobFilter
) -> AsyncIterator[list[tuple[Job, Sequence[str]]]]:
    after: uuid.UUID | None = None
    while True:
        async with reading() as uow:
            found = await repository.jobs(uow.session, principal, wanted, after=after, limit=_PAGE_RESULTS)
            names = await repository.reviewers(uow.session, [job.id for job in found])
        if found:
            yield [(job, names.get(job.id, [])) for job in found if job.state is JobState.DONE]
            after = found[-1].id
        if len(found) < _PAGE_RESULTS:
            return


# --- JSON


async def _json_lines(pages: AsyncIterator[Sequence[ReportRow]]) -> AsyncIterator[bytes]:
    async for page in pages:
        yield b"".join(msgspec.json.encode(row) + b"\n" for row in page)


async def _json_array(pages: AsyncIterator[Sequence[ReportRow]]) -> AsyncIterator[bytes]:
    opening = b"["
    async for page in pages:
        yield opening + b",\n".join(msgspec.json.encode(row) for row in page)
        opening = b",\n"
    yield b"]\n" if opening != b"[" else b"[]\n"
