"""Administration: the log of what was done, to look through and to take out."""

from __future__ import annotations

import uuid
from urllib.parse import urlencode

import msgspec
from litestar import get
from litestar.params import FromPath
from litestar.response import Stream, Template

from app.domain.administration import AuditEntryOut, AuditFilter
from app.domain.permissions import Permission
from app.errors import NotFound
from app.routes.audit_export import audit_response
from app.routes.deps import Caller, Parts, ReadUow, WebRequest
from app.routes.guards import needs
from app.routes.pages import asked_by_script, page
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import PortalPage
from app.services import audit
from app.services.audit_export import AuditFormat

ADDRESS = "/admin/audit"
_READ = needs(Permission.ADMINISTRATION_READ)
_PAGE_LENGTH = 50
_TEXT_LIMIT = 200


class AuditPart(msgspec.Struct, frozen=True, kw_only=True):
    entries: list[AuditEntryOut]
    more_address: str | None


class AuditLogPage(PortalPage, frozen=True, kw_only=True):
    part: AuditPart
    text: str
    action: str
    query: str


def _wanted(request: WebRequest) -> AuditFilter:
    text, action = (
        (request.query_params.get(name) or "").replace("\0", "").strip()[:_TEXT_LIMIT] for name in ("text", "action")
    )
    return AuditFilter(text=text, action=action)


def _cursor_of(request: WebRequest) -> uuid.UUID | None:
    try:
        return uuid.UUID(request.query_params.get("cursor", ""))
    except ValueError:
        return None


@get(ADDRESS, opt=_READ)
async def audit_page(request: WebRequest, read_uow: ReadUow, notices: AllNotices) -> Template:
    """The page; for "show more" the next rows."""
    wanted, cursor = _wanted(request), _cursor_of(request)
    found = await audit.list_entries(read_uow, wanted, cursor=cursor, limit=_PAGE_LENGTH)
    query = {"text": wanted.text, "action": wanted.action}
    more = f"{ADDRESS}?{urlencode({**query, 'cursor': found.next_cursor})}" if found.next_cursor else None
    part = AuditPart(entries=found.items, more_address=more)
    if asked_by_script(request) and cursor is not None:
        return page(request, "admin/audit_rows.html", part)
    view = AuditLogPage(notices=notices, part=part, **query, query=urlencode(query))
    return page(request, "admin/audit.html", view)


@get(f"{ADDRESS}/export/{{audit_format:str}}", opt=_READ)
async def export(request: WebRequest, parts: Parts, caller: Caller, audit_format: FromPath[str]) -> Stream:
    """All that the search finds, however much it is."""
    if audit_format not in set(AuditFormat):
        raise NotFound
    return await audit_response(parts, caller, _wanted(request), AuditFormat(audit_format))


HANDLERS = [audit_page, export]
