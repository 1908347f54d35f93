"""The web process is assembled here and nowhere else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import cast

from granian.utils.proxies import wrap_asgi_with_proxy_headers
from litestar import Litestar
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.types import ASGIApp

from app.integrations.oidc import IdentityProvider
from app.integrations.progress import Progress
from app.integrations.rate_limits import RateLimits
from app.log_lines import LogRequest, log_request
from app.logs import configure_logging
from app.resources import open_resources
from app.routes.api import api_router
from app.routes.auth import auth_router
from app.routes.credentials import Admission
from app.routes.deps import DEPENDENCIES, RolePolicy, WebConfig, WebParts, WebRequest, parts_of
from app.routes.docs import docs_router
from app.routes.guards import UNASKED
from app.routes.health import HEALTH_PREFIX, health_router
from app.routes.metrics import metrics_router
from app.routes.middleware import Envelope
from app.routes.openapi import OwnProblems, openapi_config
from app.routes.portal import portal_router
from app.routes.portal.errors import error_page
from app.routes.portal.templating import template_config
from app.routes.problems import exception_handlers
from app.routes.statics import static_router, version_of
from app.routes.template_globals import install_template_globals
from app.services.backpressure import QueueBound, QueueLimits
from app.services.preferences import LivePreferences
from app.settings import Settings, load_settings

_ROOT = Path(__file__).parent.parent
STATIC_DIR = _ROOT / "static"
# Of requests that carry no file.
_BODY_LIMIT_BYTES = 1_000_000


def web_config(settings: Settings, static_version: str) -> WebConfig:
    return WebConfig(
        base_url=settings.base_url,
        local_mode=settings.local_mode,
        signing_key=settings.signing_key,
        session_lifetime=timedelta(hours=settings.session_hours),
        roles=RolePolicy(
            claim=settings.oidc_role_claim, role_map=settings.oidc_role_map, default=settings.oidc_default_role
        ),
        defaults=settings.preferences,
        time_zone=settings.time_zone,
        static_dir=STATIC_DIR,
        static_version=static_version,
        oidc_audience=settings.oidc_audience,
        rate_limits=settings.rate_limits,
        api_keys_per_user=settings.api_keys_per_user,
        intranet=settings.intranet,
        data_dir=settings.data_dir,
        metrics_token=settings.metrics_token.get_secret_value() if settings.metrics_token else None,
    )


def identity_provider(settings: Settings) -> IdentityProvider | None:
    if settings.oidc_issuer is None:
        return None
    from app.integrations.oidc_provider import Provider  # noqa: PLC0415  a tenth of a second that no other installation needs

    secret = settings.oidc_client_secret
    return Provider(
        settings.oidc_issuer,
        client_id=settings.oidc_client_id,
        client_secret=secret.get_secret_value() if secret else None,
        scopes=settings.oidc_scopes,
    )


def _lifespan(settings: Settings, static_version: str) -> Callable[[Litestar], AbstractAsyncContextManager[None]]:
    """Opens the outside when the server starts, in its event loop, and closes it in reverse."""

    @asynccontextmanager
    async def lifespan(app: Litestar) -> AsyncIterator[None]:
        async with open_resources(settings) as resources:
            progress = Progress(resources.redis_url)
            rate_limits = RateLimits(resources.redis_url)
            app.state.parts = WebParts(
                config=web_config(settings, static_version),
                store=resources.store,
                files=resources.files,
                progress=progress,
                preferences=LivePreferences(settings.preferences),
                provider=identity_provider(settings),
                rate_limits=rate_limits,
                scanner=resources.scanner,
                queue_bound=QueueBound(QueueLimits(settings.queue_limit, settings.queue_limit_per_owner)),
                check_redis=resources.outside.check,
            )
            await progress.start()
            try:
                yield
            finally:
                await progress.close()
                await rate_limits.close()

    return lifespan


async def _refresh_preferences(request: WebRequest) -> None:
    """Before every request but those for static files and the probes, which hold without a database."""
    if not request.route_handler.opt.get(UNASKED) and not request.scope["path"].startswith(HEALTH_PREFIX):
        parts = parts_of(request)
        await parts.preferences.refresh(parts.store)


def create_app(settings: Settings, log_request: LogRequest = log_request) -> Litestar:
    """The web application. Nothing is opened before its lifespan begins."""
    static_version = version_of(STATIC_DIR)
    app = Litestar(
        route_handlers=[
            api_router(),
            portal_router(),
            auth_router(),
            docs_router(),
            health_router(),
            metrics_router(),
            static_router(STATIC_DIR, static_version),
        ],
        lifespan=[_lifespan(settings, static_version)],
        dependencies=DEPENDENCIES,
        before_request=_refresh_preferences,
        middleware=[Admission()],
        exception_handlers=exception_handlers(error_page),
        template_config=template_config(),
        request_max_body_size=_BODY_LIMIT_BYTES,
        logging_config=None,
        openapi_config=openapi_config(),
        plugins=[OwnProblems()],
    )
    install_template_globals(cast("JinjaTemplateEngine", app.template_engine))
    app.asgi_handler = _wrapped(app.asgi_handler, settings, log_request)
    return app


def _wrapped(app: ASGIApp, settings: Settings, log_request: LogRequest) -> ASGIApp:
    https = settings.base_url.startswith("https://")
    enveloped: ASGIApp = Envelope(app, https=https, form_target=settings.oidc_issuer, log_request=log_request)
    if not settings.trusted_proxies:
        return enveloped
    return cast("ASGIApp", wrap_asgi_with_proxy_headers(enveloped, trusted_hosts=list(settings.trusted_proxies)))


def web_app() -> Litestar:
    """For the server: everything from the environment."""
    settings = load_settings()
    settings.prepare_data_dir()
    return create_app(settings, configure_logging(settings, "web"))
