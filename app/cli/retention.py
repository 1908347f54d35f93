"""``earmark retention``."""

from __future__ import annotations

import asyncio

import click

from app.domain.retention import RetentionPreview
from app.resources import open_resources
from app.services.preferences import current
from app.services.retention import preview
from app.settings import Settings, load_settings
from workers.retention import Retainer


@click.command()
@click.option("--dry-run", is_flag=True, help="Only say what would go.")
def retention(*, dry_run: bool) -> None:
    """Delete now what is over its time, and move what should be cold; the chores do it every hour."""
    settings = load_settings()
    settings.prepare_data_dir()
    due = asyncio.run(_run(settings, dry_run=dry_run))
    click.echo("It would do this:" if dry_run else "Done:")
    for verb, what, one in (
        ("delete", "recordings with their results", due.results),
        ("delete", "recordings' audio", due.audio),
        ("move", "recordings' audio to the cold storage class", due.cold),
    ):
        click.echo(f"  {verb} {one.count:,} {what}, {one.size_bytes / 1e9:,.2f} GB")
    click.echo(f"  delete {due.audit.count:,} entries of the audit log")


async def _run(settings: Settings, *, dry_run: bool) -> RetentionPreview:
    async with open_resources(settings) as parts:
        async with parts.store.reading() as uow:
            wanted = (await current(uow, settings.preferences)).retention
            due = await preview(uow, wanted, can_cool=parts.files.has_storage_classes)
        if not dry_run:
            await Retainer(settings.preferences, settings.storage_cold_class).enforce(parts)
    return due
