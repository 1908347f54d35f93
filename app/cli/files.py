"""``earmark files``: the recordings of any storage as a folder, and back."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import click

from app.cli.backup import progress
from app.file_copies import Copied, Report, load_files, save_files
from app.integrations.files import Files
from app.resources import files_of
from app.settings import load_settings

_Copy = Callable[[Files, Path, Report], Awaitable[Copied]]


@click.group()
def files() -> None:
    """Copy recordings and pictures between the storage (EARMARK_STORAGE_URL) and a folder. What is there already is not copied."""


def _run(copy: _Copy, folder: Path) -> Copied:
    storage = files_of(load_settings())

    async def run(report: Report) -> Copied:
        return await copy(storage, folder, report)

    with progress("Copying") as report:
        return asyncio.run(run(report))


@files.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def save(folder: Path) -> None:
    """Make FOLDER hold what the storage holds: new files come, deleted ones go. Earmark may go on meanwhile."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    copied = _run(save_files, folder)
    click.echo(
        f"{copied.files:,} files ({copied.size_bytes / 1e9:,.2f} GB) copied, {copied.unchanged:,} were there, "
        f"{copied.dropped:,} are no longer in storage and were deleted in {folder}."
    )


@files.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def load(folder: Path) -> None:
    """Bring the files of FOLDER into the storage. Nothing there is deleted."""
    copied = _run(load_files, folder)
    click.echo(f"{copied.files:,} files ({copied.size_bytes / 1e9:,.2f} GB) copied, {copied.unchanged:,} were there.")
