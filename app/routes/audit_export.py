"""The audit log as a download, for portal and API alike."""

from __future__ import annotations

from litestar.response import Stream

from app.domain.administration import AuditFilter
from app.domain.permissions import Principal
from app.routes.deps import WebParts
from app.routes.ranges import content_disposition
from app.services.audit_export import AuditFormat, begin_export, export


async def audit_response(parts: WebParts, caller: Principal, wanted: AuditFilter, audit_format: AuditFormat) -> Stream:
    """Takes no transaction: it may stream for long."""
    await begin_export(parts.store, caller, wanted, audit_format)
    content = export(parts.store.uncut_reading, wanted, audit_format)
    disposition = content_disposition(f"earmark-audit.{audit_format}", download=True)
    headers = {"Content-Disposition": disposition, "Cache-Control": "private, no-store"}
    return Stream(content, media_type=audit_format.media_type, headers=headers)
