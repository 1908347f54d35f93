"""The template engine: strict about names, escaping everything, speaking the reader's language."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined, pass_context
from jinja2.runtime import Context
from litestar.plugins.jinja import JinjaTemplateEngine
from litestar.template.config import TemplateConfig

from app.domain.genres import GENRES, Tier
from app.domain.jobs import CANCELLABLE_STATES, RETRYABLE_STATES, JobState
from app.i18n import LANGUAGES, Reader
from app.routes.portal import words
from app.routes.portal.navigation import entries_for

TEMPLATES_DIR = Path(__file__).parents[3] / "templates"


def _reader(context: Context) -> Reader:
    reader: Reader = context["reader"]
    return reader


@pass_context
def _gettext(context: Context, message: str) -> str:
    return _reader(context).gettext(message)


@pass_context
def _ngettext(context: Context, singular: str, plural: str, count: int) -> str:
    return _reader(context).ngettext(singular, plural, count)


def clock(seconds: float) -> str:
    """A position in a recording: 1:05, or 1:02:05 from an hour on."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def pretty(value: object) -> str:
    """As JSON that people can read."""
    return json.dumps(value, indent=2, ensure_ascii=False)


@cache
def environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES_DIR),
        undefined=StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.i18n"],
    )
    made.install_gettext_callables(_gettext, _ngettext, newstyle=True)  # type: ignore[attr-defined]
    made.policies["ext.i18n.trimmed"] = True
    made.filters["clock"] = clock
    made.filters["pretty"] = pretty
    made.globals.update(
        CANCELLABLE_STATES=CANCELLABLE_STATES,
        GENRES=GENRES,
        LANGUAGES=LANGUAGES,
        RETRYABLE_STATES=RETRYABLE_STATES,
        STATES=JobState,
        TIERS=Tier,
        entries_for=entries_for,
        words=words,
    )
    return made


def template_config() -> TemplateConfig[JinjaTemplateEngine]:
    return TemplateConfig(instance=JinjaTemplateEngine.from_environment(environment()))
