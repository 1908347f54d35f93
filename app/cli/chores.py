"""``earmark chores``."""

from __future__ import annotations

import sys

import click

from app.settings import load_settings
from workers.chores_process import run_chores


@click.command()
def chores() -> None:
    """Sweep up now and then, until SIGTERM or Ctrl-C: lost jobs, expired sessions, orphaned files."""
    settings = load_settings()
    settings.prepare_data_dir()
    sys.exit(run_chores(settings))
