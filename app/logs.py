"""Logging, set up once by each process: structlog over the standard library, to stdout and, if wanted, to a rotating file."""

from __future__ import annotations

import logging
import logging.handlers
import sys
from typing import Any

import structlog
from structlog.tracebacks import ExceptionDictTransformer
from structlog.typing import Processor, WrappedLogger

from app.log_lines import JsonRequestLog, LogRequest, RenderedLine, encode_line, log_request
from app.settings import Settings

_FILE_LIMIT_BYTES = 20_000_000
_FILES_KEPT = 5
# These write whole addresses (sign-in codes among them), the values of statements (tokens among them), or a line for each request.
_TALKATIVE = (
    "aiosqlite",
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


class _Formatter(structlog.stdlib.ProcessorFormatter):
    """Renders what libraries log, and what of our own has not been rendered yet."""

    def format(self, record: logging.LogRecord) -> str:
        return record.msg if isinstance(record.msg, RenderedLine) else super().format(record)


def _json_processors() -> list[Processor]:
    # Tracebacks without the values of variables: those hold tokens and people's data.
    tracebacks = structlog.processors.ExceptionRenderer(ExceptionDictTransformer(show_locals=False))
    return [tracebacks, structlog.processors.JSONRenderer(encode_line)]


def _as_line(_: WrappedLogger, __: str, rendered: Any) -> RenderedLine:
    return RenderedLine(rendered)


def _formatter(*, as_json: bool) -> logging.Formatter:
    console = structlog.dev.ConsoleRenderer(
        colors=sys.stdout.isatty(), exception_formatter=structlog.dev.plain_traceback
    )
    renderer: list[Processor] = _json_processors() if as_json else [console]
    return _Formatter(
        foreign_pre_chain=_shared_processors(),
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *renderer],
    )


def _find_out_less() -> None:
    """Not what no line of ours tells: where in the code and in which thread it was written (see logging's own HOWTO)."""
    logging._srcfile = None  # noqa: SLF001
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False


def configure_logging(settings: Settings, process: str) -> LogRequest:
    """Send the logs of this process, which calls itself ``process``, where the settings say.

    Returns what writes the line of a request.
    """
    as_json = settings.log_format == "json" or (settings.log_format == "auto" and not sys.stdout.isatty())
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    handlers[0].setFormatter(_formatter(as_json=as_json))
    if settings.log_file is not None:
        file = logging.handlers.RotatingFileHandler(
            settings.log_file, maxBytes=_FILE_LIMIT_BYTES, backupCount=_FILES_KEPT, encoding="utf-8"
        )
        file.setFormatter(_formatter(as_json=True))
        handlers.append(file)
    logging.basicConfig(level=settings.log_level.upper(), handlers=handlers, force=True)
    _find_out_less()
    logging.captureWarnings(capture=True)
    for name in _TALKATIVE:
        logging.getLogger(name).setLevel(logging.WARNING)
    # Where every line is JSON it is rendered once, here: half the cost, and there is a line for every request.
    last = [*_json_processors(), _as_line] if as_json else [structlog.stdlib.ProcessorFormatter.wrap_for_formatter]
    structlog.configure(
        processors=[*_shared_processors(), *last],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
    return JsonRequestLog(process) if as_json else log_request
