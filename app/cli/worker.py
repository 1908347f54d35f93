"""``earmark worker``."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import click

from app.inference.memory import keep_few_arenas
from app.settings import PREFIX, Settings, SettingsError, load_settings


@click.command()
def worker() -> None:
    """Analyse what is uploaded, until SIGTERM or Ctrl-C; running jobs are finished then.

    Exit code 3: the active model is missing or damaged.
    """
    keep_few_arenas()
    gc.disable()  # until the worker is ready: what the start makes stays, and looking through it takes half a second
    from workers.analysis_process import run_analysis  # noqa: PLC0415
    from workers.model import open_loader  # noqa: PLC0415

    settings = load_settings()
    settings.prepare_data_dir()
    # Read when torch is loaded: its threads shall sleep between two products, others can use the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with _metrics(settings):
        code = run_analysis(settings, open_loader)
    sys.exit(code)


@contextmanager
def _metrics(settings: Settings) -> Iterator[None]:
    """
    Raises:
        SettingsError: the port can't be listened on.
    """
    host, port, token = settings.worker_metrics_host, settings.worker_metrics_port, settings.metrics_token
    if port is None:
        yield
        return
    from prometheus_client import REGISTRY  # noqa: PLC0415  only who serves metrics needs these

    from app.integrations.gpus import GpuCollector  # noqa: PLC0415
    from app.integrations.metrics_server import serving_metrics  # noqa: PLC0415

    REGISTRY.register(GpuCollector())
    with ExitStack() as stack:
        try:
            stack.enter_context(serving_metrics(host, port, token=token.get_secret_value() if token else None))
        except OSError as error:
            reason = f"can't listen on port {port} of {host}: {error.strerror or error}"
            raise SettingsError(f"{PREFIX}WORKER_METRICS_PORT: {reason}") from error
        yield
