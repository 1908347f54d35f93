"""API keys: everybody's own; administrators see and revoke all of them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import msgspec
from litestar import Response, get, post
from litestar.datastructures import FormMultiDict
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Template

from app.domain.api_keys import ApiKeyOut, NewApiKey
from app.domain.ids import utc_now
from app.domain.permissions import Permission, Principal, Role, lower_role
from app.errors import RequestMalformed
from app.routes.deps import Caller, Parts, ReadUow, Uow, WebRequest
from app.routes.guards import needs
from app.routes.pages import page
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import PortalPage
from app.services import api_keys

ADDRESS = "/api-keys"
_DAYS_LIMIT = 3650


class ApiKeysPage(PortalPage, frozen=True, kw_only=True):
    keys: list[ApiKeyOut]
    roles: list[Role]
    scopes: list[Permission]
    most: int
    sees_all: bool
    now: datetime


class MadeKeyPage(PortalPage, frozen=True, kw_only=True):
    """The one time that the key is shown."""

    key: str
    webhook_secret: str
    view: ApiKeyOut


def _roles_of(caller: Principal) -> list[Role]:
    return [role for role in Role if lower_role(role, caller.role) is role]


@get(ADDRESS, opt=needs(Permission.JOBS_READ))
async def keys_page(
    request: WebRequest, parts: Parts, caller: Caller, *, read_uow: ReadUow, notices: AllNotices
) -> Template:
    view = ApiKeysPage(
        notices=notices,
        keys=await api_keys.list_api_keys(read_uow, caller),
        roles=_roles_of(caller) if caller.may(Permission.API_KEYS_MANAGE) else [],
        scopes=[permission for permission in Permission if caller.may(permission)],
        most=parts.config.api_keys_per_user,
        sees_all=caller.may(Permission.API_KEYS_MANAGE_ANY),
        now=utc_now(),
    )
    return page(request, "admin/api_keys.html", view)


def _expiry(form: FormMultiDict) -> datetime | None:
    days = str(form.get("days", ""))
    if not days:
        return None
    if not days.isdecimal() or not 0 < int(days) <= _DAYS_LIMIT:
        raise RequestMalformed
    return datetime.now(UTC) + timedelta(days=int(days))


def _wanted(form: FormMultiDict) -> NewApiKey:
    values = {
        "name": str(form.get("name", "")).strip(),
        "role": str(form.get("role", "")),
        "scopes": [str(scope) for scope in form.getall("scope", [])] or None,
        "expires_at": _expiry(form),
    }
    try:
        return msgspec.convert(values, NewApiKey)
    except msgspec.ValidationError:
        raise RequestMalformed from None


@post(ADDRESS, opt=needs(Permission.API_KEYS_MANAGE), status_code=200)
async def create(request: WebRequest, parts: Parts, caller: Caller, notices: AllNotices) -> Template:
    wanted = _wanted(await request.form())
    async with parts.store.writing() as uow:
        made = await api_keys.create_own_api_key(uow, caller, wanted, most=parts.config.api_keys_per_user)
    view = MadeKeyPage(notices=notices, key=made.key, webhook_secret=made.webhook_secret, view=made.view)
    return page(request, "admin/made_key.html", view)


@post(f"{ADDRESS}/{{key_id:uuid}}/revoke", opt=needs(Permission.API_KEYS_MANAGE), status_code=200)
async def revoke(caller: Caller, uow: Uow, key_id: FromPath[uuid.UUID]) -> Response[str]:
    await api_keys.revoke_api_key_by_id(uow, caller, key_id)
    return Response("", headers={"HX-Redirect": ADDRESS}, media_type=MediaType.HTML)


HANDLERS = [keys_page, create, revoke]
