"""What every template can ask for: ``static_url(path)``, ``csrf_token()``, ``csrf_field``, ``principal()``, ``preferences()``."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from litestar.plugins.jinja import JinjaTemplateEngine

from app.domain.permissions import Principal
from app.domain.preferences import Preferences
from app.routes.credentials import CSRF_FIELD, csrf_token
from app.routes.deps import WebRequest, parts_of
from app.routes.statics import static_path


def _request(context: Mapping[str, Any]) -> WebRequest:
    request: WebRequest = context["request"]
    return request


def _static_url(context: Mapping[str, Any], /, path: str) -> str:
    return static_path(parts_of(_request(context)).config.static_version, path)


def _csrf_token(context: Mapping[str, Any], /) -> str:
    return csrf_token(_request(context))


def _principal(context: Mapping[str, Any], /) -> Principal | None:
    principal: Principal | None = _request(context).scope.get("user")
    return principal


def _preferences(context: Mapping[str, Any], /) -> Preferences:
    return parts_of(_request(context)).preferences.value


def install_template_globals(engine: JinjaTemplateEngine) -> None:
    engine.register_template_callable("static_url", _static_url)
    engine.register_template_callable("csrf_token", _csrf_token)
    engine.register_template_callable("principal", _principal)
    engine.register_template_callable("preferences", _preferences)
    engine.engine.globals["csrf_field"] = CSRF_FIELD
