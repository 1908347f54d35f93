"""The portal: pages for people."""

from __future__ import annotations

from litestar import Router

from app.routes.portal import (
    administration,
    api_keys,
    audit,
    batches,
    compare,
    dashboard,
    events,
    genres,
    home,
    jobs,
    library,
    notices,
    retention,
    reviews,
    webhooks,
)


def portal_router() -> Router:
    handlers = [
        events.events,
        home.home,
        home.upload,
        home.help_page,
        home.choose_language,
        jobs.list_page,
        jobs.job_page,
        jobs.job_panel,
        jobs.job_row,
        jobs.cancel,
        jobs.retry,
        jobs.delete,
        *batches.HANDLERS,
        compare.compare_page,
        *genres.HANDLERS,
        *administration.HANDLERS,
        *api_keys.HANDLERS,
        *audit.HANDLERS,
        *dashboard.HANDLERS,
        *library.HANDLERS,
        *retention.HANDLERS,
        *reviews.HANDLERS,
        *webhooks.HANDLERS,
        notices.notices_part,
    ]
    return Router("/", route_handlers=handlers, dependencies=notices.DEPENDENCIES, include_in_schema=False)
