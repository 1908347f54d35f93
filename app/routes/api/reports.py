"""Reports over the API: one address for each format."""

from __future__ import annotations

import uuid
from typing import Annotated, Any

from litestar import Response, get
from litestar.di import Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, QueryParameter
from litestar.response import Stream

from app.domain.permissions import Permission, Principal
from app.domain.reports import ReportFormat
from app.i18n import LANGUAGES, Reader, reader_for
from app.routes.api.filters import Wanted, provide_job_filter
from app.routes.deps import Caller, Parts, ReadUow, WebParts
from app.routes.guards import needs
from app.routes.openapi import problems
from app.routes.ranges import content_disposition
from app.services import batches, reports
from app.services.jobs import JobFilter

_READ = needs(Permission.JOBS_READ)
_NAMES = {
    ReportFormat.CSV: ("Csv", "CSV"),
    ReportFormat.XLSX: ("Xlsx", "Excel workbook"),
    ReportFormat.JSON_LINES: ("JsonLines", "JSON Lines"),
    ReportFormat.JSON: ("Json", "JSON"),
    ReportFormat.JAMS: ("Jams", "JAMS"),
}
_SAYS = {
    ReportFormat.CSV: "With a byte-order mark, so that Excel knows it for UTF-8; no cell is taken for a formula. "
    "`language` puts names in the place of ids.",
    ReportFormat.XLSX: "Every text is a text: no formula, no link. `language` puts names in the place of ids.",
    ReportFormat.JSON_LINES: "One JSON object a line, with ids.",
    ReportFormat.JSON: "One JSON array of objects, with ids.",
    ReportFormat.JAMS: "A ZIP with one JAMS document for each finished job, named by the job's id.",
}
Language = Annotated[
    str | None,
    QueryParameter(pattern=f"^({'|'.join(LANGUAGES)})$", description="Language of names in CSV and XLSX; default: ids"),
]


def report_response(
    parts: WebParts,
    caller: Principal,
    wanted: JobFilter,
    report_format: ReportFormat,
    *,
    name: str,
    reader: Reader | None,
) -> Stream:
    """The report as a download called ``name`` and the format's suffix."""
    content = reports.report(parts.store.uncut_reading, caller, wanted, report_format, reader=reader)
    disposition = content_disposition(f"{name}.{report_format}", download=True)
    headers = {"Content-Disposition": disposition, "Cache-Control": "private, no-store"}
    return Stream(content, media_type=report_format.media_type, headers=headers)


def _reader(language: str | None) -> Reader | None:
    return reader_for(language) if language else None


def _description(report_format: ReportFormat) -> str:
    return f"In the order of submission. {_SAYS[report_format]}"


def _answers(report_format: ReportFormat, *statuses: int) -> dict[int, ResponseSpec]:
    content: Any = list[dict[str, Any]] if report_format is ReportFormat.JSON else bytes
    spec = ResponseSpec(content, generate_examples=False, media_type=report_format.media_type, description="The report")
    return {200: spec, **problems(400, *statuses)}


def _batch_report(report_format: ReportFormat) -> HTTPRouteHandler:
    suffix, name = _NAMES[report_format]

    @get(
        f"/batches/{{batch_id:uuid}}/report.{report_format}",
        opt=_READ,
        operation_id=f"getBatchReport{suffix}",
        summary=f"Report on a batch as {name}",
        description=_description(report_format),
        tags=["batches"],
        responses=_answers(report_format, 404),
    )
    async def batch_report(
        parts: Parts, caller: Caller, batch_id: FromPath[uuid.UUID], language: Language = None
    ) -> Stream:
        async with parts.store.reading() as uow:
            batch = await batches.get_batch(uow, caller, batch_id)
        wanted = JobFilter(batch_id=batch_id)
        return report_response(parts, caller, wanted, report_format, name=batch.name, reader=_reader(language))

    return batch_report


def _jobs_report(report_format: ReportFormat) -> HTTPRouteHandler:
    suffix, name = _NAMES[report_format]

    @get(
        f"/jobs/report.{report_format}",
        opt=_READ,
        dependencies={"wanted": Provide(provide_job_filter)},
        operation_id=f"getJobsReport{suffix}",
        summary=f"Report on jobs as {name}",
        description=_description(report_format),
        tags=["jobs"],
        responses=_answers(report_format),
    )
    async def jobs_report(parts: Parts, caller: Caller, wanted: Wanted, language: Language = None) -> Stream:
        return report_response(parts, caller, wanted, report_format, name="earmark", reader=_reader(language))

    return jobs_report


@get(
    "/jobs/{job_id:uuid}/result.jams",
    opt=_READ,
    media_type="application/json",
    operation_id="getJobAsJams",
    summary="Get a result as JAMS",
    tags=["jobs"],
    responses=problems(404, 409),
)
async def job_as_jams(read_uow: ReadUow, caller: Caller, job_id: FromPath[uuid.UUID]) -> Response[dict[str, Any]]:
    """The genres as tags (namespace `tag_open`) of the whole recording and of each window, and what people decided."""
    document = await reports.job_as_jams(read_uow, caller, job_id)
    return Response(document, headers={"Content-Disposition": content_disposition(f"{job_id}.jams", download=True)})


HANDLERS: list[HTTPRouteHandler] = [
    *(make(report_format) for make in (_batch_report, _jobs_report) for report_format in ReportFormat),
    job_as_jams,
]
