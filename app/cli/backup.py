"""``earmark backup`` and ``earmark restore``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from app import backups
from app.backups import BackupProblem, Report
from app.settings import load_settings


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def backup(folder: Path) -> None:
    """Copy database, recordings, models and key to FOLDER, while Earmark runs.

    Called again with the same FOLDER, it copies only what is new. FOLDER contains every recording and the key that signs
    CSRF tokens and seals secrets: keep it as safe as the data folder.
    """
    with _problems(), progress("Copying") as report:
        manifest = backups.back_up(load_settings(), folder, report)
    click.echo(f"{manifest.jobs} jobs and {len(manifest.files)} files are in {folder}.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def restore(folder: Path) -> None:
    """Bring the backup in FOLDER into an empty data folder (EARMARK_DATA_DIR), and check every recording."""
    settings = load_settings()
    with _problems():
        with progress("Copying") as report:
            manifest = backups.restore(settings, folder, report)
        damaged = backups.damaged_audio(settings)
    click.echo(f"{manifest.jobs} jobs of {manifest.created_at:%Y-%m-%d %H:%M} UTC are in {settings.data_dir}.")
    if damaged:
        raise click.ClickException(f"{len(damaged)} recordings are not what was uploaded, the first is {damaged[0]}")


@contextmanager
def _problems() -> Iterator[None]:
    try:
        yield
    except BackupProblem as problem:
        raise click.ClickException(str(problem)) from problem
    except OSError as error:
        raise click.ClickException(f"{error.filename}: {error.strerror}") from error


@contextmanager
def progress(text: str) -> Iterator[Report]:
    """A bar that is told how far things are."""
    with Progress(
        TextColumn(text),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as progress:
        task = progress.add_task("")
        yield lambda done, total: progress.update(task, completed=done, total=total)
