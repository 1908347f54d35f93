"""The description of the API: what Litestar can't tell from the handlers by itself."""

from __future__ import annotations

from typing import Any

from litestar import Router
from litestar.openapi import OpenAPIConfig
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import (
    Components,
    SecurityScheme,
    Server,
    Tag,
)
from litestar.plugins import ReceiveRoutePlugin
from litestar.routes import BaseRoute, HTTPRoute
from litestar.types import ControllerRouterHandler

from app import __version__
from app.routes.openapi_webhooks import webhook_descriptions
from app.routes.problems import PROBLEM_MEDIA_TYPE, Problem

_DESCRIPTION = """
Submit recordings, follow their jobs and fetch the results.

* **Credentials**: an API key as `Authorization: Bearer emk_…` (`earmark api-key create`). In a browser the portal's session
  counts too; unsafe calls then need the session's token in the header `x-csrf-token`.
* **Failures** are problems (RFC 9457) with a stable `code`; [the list of codes](/docs/errors) explains each. A value of the
  wrong form is a 400 with `errors`.
* **Lists** come newest first, in pages: give `next_cursor` as `cursor`.
* **Following a job**: `GET /api/v1/jobs/{id}/events`, or ask again every second or two.
"""

_PROBLEMS = {
    400: "The request is not valid",
    401: "No credentials, or unknown ones",
    403: "The role does not allow this, or the CSRF token is missing",
    404: "No such thing",
    409: "Not possible in this state",
    413: "Too large",
    415: "Not a supported audio file",
    422: "The Idempotency-Key came with another request",
    429: "Too many requests: `Retry-After` says how long to wait",
    503: "A part is not reachable; try again",
}


def problems(*statuses: int) -> dict[int, ResponseSpec]:
    """The ``responses`` of a route beside the successful one; every route can answer 401, 403, 429 and 503."""
    return {
        status: ResponseSpec(
            Problem, generate_examples=False, media_type=PROBLEM_MEDIA_TYPE, description=_PROBLEMS[status]
        )
        for status in sorted({*statuses, 401, 403, 429, 503})
    }


class OwnProblems(ReceiveRoutePlugin):
    """Litestar describes a 400 in its own format wherever a route has parameters; ours answers problems."""

    def receive_route(self, route: BaseRoute) -> None:
        if isinstance(route, HTTPRoute) and route.path.startswith("/api/"):
            for handler in route.route_handlers:
                handler.responses = {**problems(400), **(handler.responses or {})}


class _NoRoutes(Router):
    """Takes the routes that Litestar would serve the description by, and drops them: ours are in ``app.routes.docs``."""

    def register(self, value: ControllerRouterHandler) -> list[BaseRoute]:  # noqa: ARG002  Litestar's signature
        return []


def openapi_config() -> OpenAPIConfig:
    schemes: dict[str, Any] = {
        "apiKey": SecurityScheme(type="http", scheme="bearer", description="`earmark api-key create` prints one"),
        "session": SecurityScheme(
            type="apiKey", name="earmark-session", security_scheme_in="cookie", description="The portal's session"
        ),
    }
    return OpenAPIConfig(
        title="Earmark",
        version=__version__,
        description=_DESCRIPTION.strip(),
        use_handler_docstrings=True,
        servers=[Server("/")],
        security=[{"apiKey": []}, {"session": []}],
        components=Components(security_schemes=schemes),
        tags=[
            Tag("jobs", "Recordings and their analyses"),
            Tag("uploads", "Large files in parts"),
            Tag("api-keys", "Credentials of programs"),
            Tag("reviews", "What waits for a person, and what people decide"),
            Tag("batches", "Recordings that are submitted together, their progress and reports"),
            Tag("webhooks", "Being told of events, or asking for them"),
            Tag("models", "What answers, what is compared with it, and the workers that run it"),
            Tag("catalogue", "Genres, and who is asking"),
        ],
        webhooks=webhook_descriptions(),
        openapi_router=_NoRoutes("/", route_handlers=[]),
        render_plugins=[],
    )
