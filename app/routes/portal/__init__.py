"""The portal: pages for people."""

from __future__ import annotations

from litestar import Router


def portal_router() -> Router:
    return Router("/", route_handlers=[])
