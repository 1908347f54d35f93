"""The API: JSON, for programs."""

from __future__ import annotations

from litestar import Router

from app.routes.api import catalogue, jobs


def api_router() -> Router:
    return Router("/api/v1", route_handlers=[*jobs.HANDLERS, *catalogue.HANDLERS])
