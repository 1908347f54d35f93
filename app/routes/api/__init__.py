"""The API: JSON, for programs."""

from __future__ import annotations

from litestar import Router
from litestar.di import Provide

from app.routes.api import (
    api_keys,
    audit,
    batches,
    catalogue,
    events,
    jobs,
    models,
    reports,
    reviews,
    submissions,
    uploads,
    webhooks,
)
from app.routes.idempotency import provide_once


def api_router() -> Router:
    return Router(
        "/api/v1",
        route_handlers=[
            *submissions.HANDLERS,
            *uploads.HANDLERS,
            *jobs.HANDLERS,
            *api_keys.HANDLERS,
            *audit.HANDLERS,
            *batches.HANDLERS,
            *reports.HANDLERS,
            *catalogue.HANDLERS,
            *models.HANDLERS,
            *reviews.HANDLERS,
            *webhooks.HANDLERS,
            *events.HANDLERS,
        ],
        dependencies={"once": Provide(provide_once)},
    )
