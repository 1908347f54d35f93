"""What every page says on top: that the starter is active, that nobody works on the queue or somebody can't as they should,
that a webhook was given up."""

from __future__ import annotations

from litestar import get
from litestar.di import NamedDependency, Provide
from litestar.response import Template

from app.domain.permissions import Permission
from app.routes.deps import WebParts, WebRequest
from app.routes.guards import needs
from app.routes.pages import page
from app.routes.portal.views import Notices, NoticesPart
from app.services.models import active_model
from app.services.webhooks import given_up_endpoints
from app.services.workers import workers_status


async def provide_notices(request: WebRequest, parts: NamedDependency[WebParts]) -> Notices:
    """In a short unit of work of its own, so that handlers which write can show them too."""
    async with parts.store.reading() as uow:
        workers, model = await workers_status(uow), await active_model(uow)
        given_up = await given_up_endpoints(uow, request.user) if request.user else 0
    return Notices(
        starter=model is not None and model.starter,
        worker_missing=workers.ready == 0 and workers.starting == 0,
        worker_starting=workers.ready == 0 and workers.starting > 0,
        worker_message=workers.message,
        worker_trouble=workers.trouble,
        webhooks_given_up=given_up,
    )


AllNotices = NamedDependency[Notices]
DEPENDENCIES = {"notices": Provide(provide_notices)}


@get("/notices", opt=needs(Permission.JOBS_READ))
async def notices_part(request: WebRequest, notices: AllNotices) -> Template:
    return page(request, "partials/notices.html", NoticesPart(notices=notices))
