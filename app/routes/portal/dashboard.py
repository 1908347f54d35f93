"""The dashboard: how the installation is doing, live."""

from __future__ import annotations

import msgspec
from litestar import get
from litestar.response import Template

from app.domain.dashboard import Dashboard
from app.domain.ids import utc_now
from app.domain.permissions import Permission
from app.routes.deps import ReadUow, WebRequest
from app.routes.guards import needs
from app.routes.pages import asked_by_script, page, reader_of
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import PortalPage
from app.services.dashboard import dashboard


class FiguresPart(msgspec.Struct, frozen=True, kw_only=True):
    figures: Dashboard


class DashboardPage(PortalPage, frozen=True, kw_only=True):
    figures: Dashboard


@get("/dashboard", opt=needs(Permission.JOBS_READ))
async def dashboard_page(request: WebRequest, read_uow: ReadUow, notices: AllNotices) -> Template:
    """The page; for its own renewal only the figures."""
    figures = await dashboard(read_uow, midnight=reader_of(request).midnight(utc_now()))
    if asked_by_script(request):
        return page(request, "dashboard/parts.html", FiguresPart(figures=figures))
    return page(request, "dashboard/dashboard.html", DashboardPage(notices=notices, figures=figures))


HANDLERS = [dashboard_page]
