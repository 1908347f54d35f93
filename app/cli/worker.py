"""``earmark worker``."""

from __future__ import annotations

import os
import sys

import click

from app.settings import load_settings
from workers.model import open_loader
from workers.process import run_analysis


@click.command()
def worker() -> None:
    """Analyse what is uploaded, until SIGTERM or Ctrl-C; running jobs are finished then.

    Exit code 3: the active model is missing or damaged.
    """
    settings = load_settings()
    settings.prepare_data_dir()
    # Read when torch is loaded: its threads shall sleep between two products, others can use the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    sys.exit(run_analysis(settings, open_loader))
