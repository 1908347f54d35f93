"""``earmark db``: bring the database to a revision."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click
from sqlalchemy.exc import SQLAlchemyError

from app.db import migrations
from app.db.engine import Database
from app.settings import load_settings

T = TypeVar("T")


def _with_database(use: Callable[[Database], Awaitable[T]]) -> T:
    settings = load_settings()
    settings.prepare_data_dir()

    async def run() -> T:
        database = Database(settings.database_dsn)
        try:
            return await use(database)
        finally:
            await database.close()

    try:
        return asyncio.run(run())
    except (SQLAlchemyError, OSError) as error:
        raise click.ClickException(f"EARMARK_DATABASE_URL: the database can't be used: {error}") from error


@click.group()
def db() -> None:
    """Bring the database to a revision."""


@db.command()
@click.argument("revision", default="head")
def upgrade(revision: str) -> None:
    """Migrate up to REVISION (default: the newest). Safe to repeat."""
    _with_database(lambda database: migrations.upgrade(database, revision))


@db.command()
@click.argument("revision")
def downgrade(revision: str) -> None:
    """Migrate down to REVISION; `base` empties the database."""
    _with_database(lambda database: migrations.downgrade(database, revision))


@db.command("revision-check")
def revision_check() -> None:
    """Tell whether the database is at this version's revision; exit code 1 if not."""
    found, wanted = _with_database(migrations.revision_of), migrations.newest_revision()
    click.echo(f"database: {found or 'empty'}, this version: {wanted}")
    if found != wanted:
        raise click.ClickException("the database is not at this version's revision: run `earmark db upgrade`")
