"""Administration: how long things are kept, and what that would do now."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from litestar import get, post
from litestar.response import Template

from app.domain.permissions import Permission
from app.domain.retention import DAYS_LIMIT, FEWEST_AUDIT_DAYS, Retention, RetentionPreview
from app.errors import N_, RequestMalformed
from app.routes.deps import Caller, Parts, ReadUow, WebRequest
from app.routes.guards import needs
from app.routes.pages import page, reader_of
from app.routes.portal.library import Toast
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import PortalPage
from app.services import preferences
from app.services.retention import preview

ADDRESS = "/admin/retention"
_READ = needs(Permission.ADMINISTRATION_READ)
_CHANGE = needs(Permission.ADMINISTRATION_CHANGE)
_DAYS = ("results_days", "audio_days", "cold_days", "audit_days")


class PreviewPart(msgspec.Struct, frozen=True, kw_only=True):
    preview: RetentionPreview


class RetentionPage(PortalPage, frozen=True, kw_only=True):
    current: Retention
    preview: RetentionPreview
    has_cold_class: bool
    days_limit: int = DAYS_LIMIT
    fewest_audit_days: int = FEWEST_AUDIT_DAYS


@get(ADDRESS, opt=_READ)
async def retention_page(request: WebRequest, parts: Parts, *, read_uow: ReadUow, notices: AllNotices) -> Template:
    current = (await preferences.current(read_uow, parts.config.defaults)).retention
    can_cool = parts.files.has_storage_classes
    due = await preview(read_uow, current, can_cool=can_cool)
    view = RetentionPage(notices=notices, current=current, preview=due, has_cold_class=can_cool)
    return page(request, "admin/retention.html", view)


def _wanted(form: Mapping[str, Any]) -> Retention:
    """What the form says, checked. An empty field keeps for ever; a missing one is a mistake.

    Raises:
        RequestMalformed
    """
    values: dict[str, Any] = {"keep_reviewed": bool(form.get("keep_reviewed"))}
    for name in _DAYS:
        text = form.get(name)
        if not isinstance(text, str):
            raise RequestMalformed
        values[name] = text.strip() or "0"
    try:
        return msgspec.convert(values, Retention, strict=False)
    except msgspec.ValidationError:
        raise RequestMalformed from None


@get(f"{ADDRESS}/panel", opt=_READ)
async def preview_part(request: WebRequest, parts: Parts, read_uow: ReadUow) -> Template:
    """What the values in the form would do, before they are saved."""
    due = await preview(read_uow, _wanted(request.query_params), can_cool=parts.files.has_storage_classes)
    return page(request, "admin/retention_preview.html", PreviewPart(preview=due))


@post(ADDRESS, opt=_CHANGE, status_code=200)
async def change_retention(request: WebRequest, parts: Parts, caller: Caller) -> Template:
    wanted = _wanted(await request.form())
    async with parts.store.writing() as uow:
        current = await preferences.current(uow, parts.config.defaults)
        changed = msgspec.structs.replace(current, retention=wanted)
        await preferences.change(uow, caller, changed, parts.config.defaults)
    parts.preferences.forget()
    text = N_("Saved. What is over its time goes within an hour.")
    return page(request, "partials/toast.html", Toast(text=reader_of(request).gettext(text), good=True))


HANDLERS = [retention_page, preview_part, change_retention]
