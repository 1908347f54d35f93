"""A failure as a page."""

from __future__ import annotations

from collections.abc import Mapping

from litestar.response import Template

from app.routes.deps import WebRequest
from app.routes.pages import asked_by_script, page, reader_of
from app.routes.portal.views import ErrorPage


def error_page(
    request: WebRequest,
    status: int,
    title: str,
    detail: str,
    *,
    error_id: str | None,
    params: Mapping[str, str | float],
) -> Template:
    """``title`` and ``detail`` are message ids; ``params`` fill the detail once it is translated.

    A script gets only the message, to show it without leaving the page.
    """
    reader = reader_of(request)
    view = ErrorPage(status=status, title=reader.gettext(title), detail=reader.fill(detail, params), error_id=error_id)
    template = "errors/message.html" if asked_by_script(request) else "errors/error.html"
    return page(request, template, view, status_code=status)
