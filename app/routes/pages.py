"""From a view to a page: every handler that answers HTML ends with ``page(request, template, view)``."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar.response import Template

from app.i18n import Reader, choose_language, choose_time_zone, reader_for
from app.routes.deps import WebRequest, parts_of

LANGUAGE_COOKIE = "earmark_language"
THEME_COOKIE = "earmark_theme"
ZONE_COOKIE = "earmark_time_zone"
THEMES = ("light", "dark")


class SignInPage(msgspec.Struct, frozen=True, kw_only=True):
    """``auth/sign_in.html``. ``local``: the link that `earmark run` prints is the only way in."""

    local: bool
    next_path: str


def reader_of(request: WebRequest) -> Reader:
    """Language and time zone of whoever asks."""
    language = choose_language(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language"))
    zone = choose_time_zone(request.cookies.get(ZONE_COOKIE), parts_of(request).config.time_zone)
    return reader_for(language, zone)


def asked_by_script(request: WebRequest) -> bool:
    """htmx and the upload script want a piece of a page, not a page."""
    return "hx-request" in request.headers


def _here(request: WebRequest) -> str:
    """The address to come back to; what was sent here can't be sent again."""
    query = request.url.query
    return request.scope["path"] + (f"?{query}" if query else "") if request.method == "GET" else "/"


def _frame(request: WebRequest) -> dict[str, Any]:
    """What every template needs besides its view and the globals of ``template_globals``."""
    theme = request.cookies.get(THEME_COOKIE)
    return {
        "reader": reader_of(request),
        "theme": theme if theme in THEMES else "auto",
        "path": request.scope["path"],
        "here": _here(request),
    }


def page(
    request: WebRequest,
    template: str,
    view: msgspec.Struct,
    *,
    status_code: int = 200,
    headers: dict[str, str] | None = None,
) -> Template:
    """The template with the view as ``page``."""
    return Template(
        template_name=template,
        context={**_frame(request), "page": view},
        status_code=status_code,
        headers={"Vary": "Accept-Language, Cookie, HX-Request", **(headers or {})},
    )
