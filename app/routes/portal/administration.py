"""Administration: settings, people, models. API keys have a page of their own for everybody."""

from __future__ import annotations

import math
import uuid
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Redirect, Template

from app.domain.administration import PersonOut
from app.domain.permissions import Permission, Role
from app.domain.preferences import Preferences
from app.domain.views import ModelOut, ShadowReportOut
from app.errors import N_, RequestMalformed
from app.routes.deps import Caller, Parts, ReadUow, Uow, WebRequest
from app.routes.guards import needs
from app.routes.pages import page, reader_of
from app.routes.portal.library import Toast
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import PortalPage
from app.services import models, people, preferences, shadows

ADDRESS = "/admin"
_READ = needs(Permission.ADMINISTRATION_READ)
_CHANGE = needs(Permission.ADMINISTRATION_CHANGE)
_TEXT_LIMIT = 200
_MEGABYTE = 1_000_000


class SettingsPage(PortalPage, frozen=True, kw_only=True):
    current: Preferences
    defaults: Preferences


class PeoplePage(PortalPage, frozen=True, kw_only=True):
    people: list[PersonOut]
    text: str
    limit: int


class ModelsPage(PortalPage, frozen=True, kw_only=True):
    models: list[ModelOut]
    shadow: ShadowReportOut | None


def _again(address: str) -> Response[str]:
    """The page as it is now."""
    return Response("", headers={"HX-Redirect": address}, media_type=MediaType.HTML)


def _text_of(request: WebRequest) -> str:
    return (request.query_params.get("text") or "").strip()[:_TEXT_LIMIT]


@get(ADDRESS, opt=_READ)
async def start() -> Redirect:
    return Redirect(f"{ADDRESS}/settings", status_code=303)


# --- settings


@get(f"{ADDRESS}/settings", opt=_READ)
async def settings_page(request: WebRequest, parts: Parts, *, read_uow: ReadUow, notices: AllNotices) -> Template:
    defaults = parts.config.defaults
    current = await preferences.current(read_uow, defaults)
    view = SettingsPage(notices=notices, current=current, defaults=defaults)
    return page(request, "admin/settings.html", view)


def _number(form: FormMultiDict, name: str, factor: float = 1) -> float:
    try:
        value = float(str(form.get(name, "")))
    except ValueError:
        raise RequestMalformed from None
    if not math.isfinite(value):
        raise RequestMalformed
    return value * factor


def _wanted(form: FormMultiDict, current: Preferences) -> Preferences:
    """What the form says, checked; what it does not speak of stays.

    Raises:
        RequestMalformed: a value is missing or outside of its bounds.
    """
    values: dict[str, Any] = {
        "review_threshold": round(_number(form, "review_threshold_percent", 0.01), 4),
        "upload_limit_bytes": round(_number(form, "upload_limit_mb", _MEGABYTE)),
        "organisation": str(form.get("organisation", "")).strip(),
        "footer": str(form.get("footer", "")).strip(),
        "reviews_per_item": round(_number(form, "reviews_per_item")),
        "spot_check_share": round(_number(form, "spot_check_percent", 0.01), 4),
    }
    try:
        return msgspec.convert({**msgspec.to_builtins(current), **values}, Preferences)
    except msgspec.ValidationError:
        raise RequestMalformed from None


@post(f"{ADDRESS}/settings", opt=_CHANGE, status_code=200)
async def change_settings(request: WebRequest, parts: Parts, caller: Caller) -> Template:
    form = await request.form()
    async with parts.store.writing() as uow:
        wanted = _wanted(form, await preferences.current(uow, parts.config.defaults))
        await preferences.change(uow, caller, wanted, parts.config.defaults)
    parts.preferences.forget()
    toast = Toast(text=reader_of(request).gettext(N_("Saved. It counts from now on.")), good=True)
    return page(request, "partials/toast.html", toast)


# --- people


@get(f"{ADDRESS}/people", opt=_READ)
async def people_page(request: WebRequest, read_uow: ReadUow, notices: AllNotices) -> Template:
    text = _text_of(request)
    found = await people.list_people(read_uow, text)
    view = PeoplePage(notices=notices, people=found, text=text, limit=people.PEOPLE_LIMIT)
    return page(request, "admin/people.html", view)


@post(f"{ADDRESS}/people/{{user_id:uuid}}/role", opt=_CHANGE, status_code=200)
async def give_role(request: WebRequest, caller: Caller, uow: Uow, user_id: FromPath[uuid.UUID]) -> Response[str]:
    wanted = str((await request.form()).get("role", ""))
    if wanted and wanted not in set(Role):
        raise RequestMalformed
    await people.give_role(uow, caller, user_id, Role(wanted) if wanted else None)
    return _again(f"{ADDRESS}/people")


@post(f"{ADDRESS}/people/{{user_id:uuid}}/sign-out", opt=_CHANGE, status_code=200)
async def sign_out(caller: Caller, uow: Uow, user_id: FromPath[uuid.UUID]) -> Response[str]:
    await people.sign_out_everywhere(uow, caller, user_id)
    return _again(f"{ADDRESS}/people")


# --- models


@get(f"{ADDRESS}/models", opt=_READ)
async def models_page(request: WebRequest, read_uow: ReadUow, notices: AllNotices) -> Template:
    view = ModelsPage(
        notices=notices, models=await models.list_models(read_uow), shadow=await shadows.shadow_report(read_uow)
    )
    return page(request, "admin/models.html", view)


@post(f"{ADDRESS}/models/{{model_id:uuid}}/activate", opt=_CHANGE, status_code=200)
async def activate(caller: Caller, uow: Uow, model_id: FromPath[uuid.UUID]) -> Response[str]:
    await models.activate_model_by_id(uow, caller, model_id)
    return _again(f"{ADDRESS}/models")


@post(f"{ADDRESS}/models/roll-back", opt=_CHANGE, status_code=200)
async def roll_back(caller: Caller, uow: Uow) -> Response[str]:
    await models.roll_back(uow, caller)
    return _again(f"{ADDRESS}/models")


@post(f"{ADDRESS}/models/{{model_id:uuid}}/shadow", opt=_CHANGE, status_code=200)
async def start_shadow(request: WebRequest, caller: Caller, uow: Uow, model_id: FromPath[uuid.UUID]) -> Response[str]:
    share = _number(await request.form(), "share_percent", 0.01)
    if not 0 < share <= 1:
        raise RequestMalformed
    await shadows.start_shadow(uow, caller, model_id, share)
    return _again(f"{ADDRESS}/models")


@post(f"{ADDRESS}/models/shadow/stop", opt=_CHANGE, status_code=200)
async def stop_shadow(caller: Caller, uow: Uow) -> Response[str]:
    await shadows.stop_shadow(uow, caller)
    return _again(f"{ADDRESS}/models")


HANDLERS = [
    start,
    settings_page,
    change_settings,
    people_page,
    give_role,
    sign_out,
    models_page,
    activate,
    roll_back,
    start_shadow,
    stop_shadow,
]
