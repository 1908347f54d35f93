"""``earmark set-up``: what has to be there before the processes start."""

from __future__ import annotations

import click

from app.cli.db import upgrade
from app.cli.model import starter
from app.cli.transactions import in_transaction
from app.services.models import active_model


@click.command()
@click.pass_context
def set_up(context: click.Context) -> None:
    """Bring the database to this version's revision, and build the starter model if no model is active. Safe to repeat."""
    context.invoke(upgrade)
    if in_transaction(active_model) is None:
        click.echo("No model yet: building the starter. This happens once and takes a minute or two.")
        context.invoke(starter)
