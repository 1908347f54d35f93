"""``earmark web``: granian serves the application."""

from __future__ import annotations

import gc
import os
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import click
from granian import Granian
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.log import LogLevels

from app.cli.ports import check_port
from app.integrations.parents import die_with_parent
from app.settings import Settings, load_settings

if TYPE_CHECKING:
    from litestar import Litestar

# Requests in progress may take this long at a stop. Streams of events, which never end by themselves, are cut off then.
_KILL_TIMEOUT_S = 5
_RESPAWN_INTERVAL_S = 1.0
# Headers come at once; who dribbles them is cut off.
_HEADERS_TIMEOUT_MS = 10_000
# Of each request on its way so much is read ahead, several times over; granian's own 400 KB make uploads no faster.
_BUFFER_BYTES = 128 * 1024
# Objects of the first generation, and collections of each generation before the next one's; Python's own are 700, 10, 10.
_COLLECT_AFTER = (10_000, 20, 20)
_SHARED_COUNTS = "PROMETHEUS_MULTIPROC_DIR"


def application() -> Litestar:
    """The application of one granian worker, which must not outlive granian: it would go on holding the port."""
    die_with_parent(signal.SIGKILL)
    # What is made now stays. The collector of cycles doesn't look at it, then or later: it would take a third of a busy process's time.
    gc.disable()
    from app.main import web_app  # noqa: PLC0415  granian's own process needs none of it

    app = web_app()
    gc.freeze()
    gc.set_threshold(*_COLLECT_AFTER)
    gc.enable()
    return app


@click.command()
def web() -> None:
    """Serve the API and the portal, until SIGTERM or Ctrl-C."""
    settings = load_settings()
    settings.prepare_data_dir()
    check_port(settings)
    with _shared_counts(settings.web_processes):
        _serve(settings)


@contextmanager
def _shared_counts(processes: int) -> Iterator[None]:
    """Whichever of several processes is asked for metrics answers for all of them, through files in a folder."""
    if processes == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="earmark-metrics-") as folder:
        os.environ[_SHARED_COUNTS] = folder  # prometheus_client reads it in the processes that granian starts
        yield


def _serve(settings: Settings) -> None:
    Granian(
        f"{__name__}:application",
        factory=True,
        interface=Interfaces.ASGI,
        address=settings.host,
        port=settings.port,
        workers=settings.web_processes,
        websockets=False,
        http1_settings=HTTP1Settings(header_read_timeout=_HEADERS_TIMEOUT_MS, max_buffer_size=_BUFFER_BYTES),
        log_level=LogLevels.warning,
        respawn_failed_workers=True,
        respawn_interval=_RESPAWN_INTERVAL_S,
        workers_kill_timeout=_KILL_TIMEOUT_S,
    ).serve()
