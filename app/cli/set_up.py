"""``earmark set-up``: what has to be there before the processes start."""

from __future__ import annotations

import asyncio

import click

from app.cli.db import upgrade
from app.cli.model import starter
from app.cli.transactions import in_transaction
from app.domain.genres import GENRE_IDS
from app.domain.keys import example_key
from app.integrations.files import FileGone, Files
from app.resources import files_of
from app.services.models import active_model
from app.settings import load_settings


@click.command()
@click.pass_context
def set_up(context: click.Context) -> None:
    """Bring the database to this version's revision, synthesise the examples of the genres, and build the starter model if
    no model is active. Safe to repeat."""
    context.invoke(upgrade)
    asyncio.run(make_examples(files_of(load_settings())))
    if in_transaction(active_model) is None:
        click.echo("No model yet: building the starter. This happens once and takes a minute or two.")
        context.invoke(starter)


async def make_examples(files: Files) -> None:
    """Store the sound of each genre that has none in storage yet."""
    for genre_id in GENRE_IDS:
        try:
            await files.size_bytes(example_key(genre_id))
        except FileGone:
            from app.inference.demonstrations import demonstration  # noqa: PLC0415  needed once

            await files.put_bytes(example_key(genre_id), demonstration(genre_id))
