"""The audit log over the API."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.handlers import HTTPRouteHandler
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter
from litestar.response import Stream

from app.domain.administration import AuditFilter, AuditPage
from app.domain.permissions import Permission
from app.routes.api.examples import AUDIT_PAGE, answer_of
from app.routes.api.filters import cursor_of, moment_of, storable
from app.routes.audit_export import audit_response
from app.routes.deps import Caller, Parts, ReadUow
from app.routes.guards import needs
from app.routes.openapi import problems
from app.services import audit
from app.services.audit_export import AuditFormat

_TAGS = ["audit"]
_READ = needs(Permission.ADMINISTRATION_READ)
_NAMES = {AuditFormat.CSV: ("Csv", "CSV"), AuditFormat.JSON_LINES: ("JsonLines", "JSON Lines")}


async def _provide_filter(
    text: Annotated[
        str | None, QueryParameter(description="Part of the name of who did it, or the id of what", max_length=200)
    ] = None,
    action: Annotated[str | None, QueryParameter(description="Only this action", max_length=64)] = None,
    created_after: Annotated[
        str | None, QueryParameter(format="date-time", description="Done then or later; UTC if no zone is given")
    ] = None,
    created_before: Annotated[
        str | None, QueryParameter(format="date-time", description="Done before this time")
    ] = None,
) -> AuditFilter:
    return AuditFilter(
        text=storable(text) or "",
        action=storable(action) or "",
        created_after=moment_of(created_after, "created_after"),
        created_before=moment_of(created_before, "created_before"),
    )


_FILTERED: dict[str, Provide] = {"wanted": Provide(_provide_filter)}
Wanted = NamedDependency[AuditFilter]


@get(
    "/audit",
    opt=_READ,
    dependencies=_FILTERED,
    operation_id="listAuditEntries",
    summary="List the audit log",
    tags=_TAGS,
    responses={**answer_of(AUDIT_PAGE, "A page of the log"), **problems(400)},
)
async def list_audit_entries(
    read_uow: ReadUow,
    wanted: Wanted,
    cursor: Annotated[str | None, QueryParameter(description="`next_cursor` of the page before")] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=audit.PAGE_LIMIT, description="Entries on a page")] = 50,
) -> AuditPage:
    """Who did what to what, newest first: every change, and every access to audio (once an hour for each caller and
    recording). For admins."""
    return await audit.list_entries(read_uow, wanted, cursor=cursor_of(cursor), limit=limit)


def _export(audit_format: AuditFormat) -> HTTPRouteHandler:
    suffix, name = _NAMES[audit_format]
    spec: ResponseSpec = ResponseSpec(
        bytes, generate_examples=False, media_type=audit_format.media_type, description="The log"
    )
    responses: dict[int, Any] = {200: spec, **problems(400)}

    @get(
        f"/audit/export.{audit_format}",
        opt=_READ,
        dependencies=_FILTERED,
        operation_id=f"exportAudit{suffix}",
        summary=f"Export the audit log as {name}",
        description="In the order in which it was written. The export is written down in the log itself.",
        tags=_TAGS,
        responses=responses,
    )
    async def export_audit(parts: Parts, caller: Caller, wanted: Wanted) -> Stream:
        return await audit_response(parts, caller, wanted, audit_format)

    return export_audit


HANDLERS: list[HTTPRouteHandler] = [list_audit_entries, *(_export(audit_format) for audit_format in AuditFormat)]
