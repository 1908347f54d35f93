"""Logging, set up once by each process: structlog over the standard library, to stdout and, if wanted, to a rotating file."""

from __future__ import annotations

import logging
import logging.handlers
import sys

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor

from app.settings import Settings

_FILE_LIMIT_BYTES = 20_000_000
_FILES_KEPT = 5
# These write whole addresses (sign-in codes among them) or a line for each request at INFO.
_TALKATIVE = (
    "httpx",
    "httpx2",
    "httpcore",
    "httpcore2",
    "arq",
    "_granian",
    "granian.access",
    "alembic",
    "PIL",
    "numba",
)


def _shared_processors() -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]


def _formatter(*, json: bool) -> logging.Formatter:
    # Tracebacks without the values of variables: those hold tokens and people's data.
    tracebacks = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    renderer: list[Processor] = (
        [tracebacks, structlog.processors.JSONRenderer(ensure_ascii=False)] if json else [console]
    )
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=_shared_processors(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )


def configure_logging(settings: Settings, process: str) -> None:
    """Send the logs of this process, which calls itself ``process``, where the settings say."""
    json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stdout.isatty())
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    handlers[0].setFormatter(_formatter(json=json))
    if settings.log_file is not None:
        file = logging.handlers.RotatingFileHandler(
            settings.log_file, maxBytes=_FILE_LIMIT_BYTES, backupCount=_FILES_KEPT, encoding="utf-8"
        )
        file.setFormatter(_formatter(json=True))
        handlers.append(file)
    logging.basicConfig(level=settings.log_level.upper(), handlers=handlers, force=True)
    logging.captureWarnings(capture=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*_shared_processors(), structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    structlog.contextvars.bind_contextvars(process=process)
