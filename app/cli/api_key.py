"""``earmark api-key``: give and revoke keys of programs."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import click

from app.db.uow import UnitOfWork
from app.domain.permissions import Role
from app.resources import open_resources
from app.services import accounts
from app.settings import load_settings

T = TypeVar("T")


def in_transaction(use: Callable[[UnitOfWork], Awaitable[T]]) -> T:
    """Run one use-case on the database that the settings name."""
    settings = load_settings()
    settings.prepare_data_dir()

    async def run() -> T:
        async with open_resources(settings) as resources, resources.store.writing() as uow:
            return await use(uow)

    return asyncio.run(run())


@click.group()
def api_key() -> None:
    """Give and revoke keys of programs."""


@api_key.command()
@click.option("--name", required=True, help="What the key is for; shown with the jobs it submits.")
@click.option(
    "--role",
    type=click.Choice([role.value for role in Role]),
    default=Role.UPLOADER.value,
    show_default=True,
    help="What its holder may do.",
)
def create(name: str, role: str) -> None:
    """Make a key and print it, this once."""
    click.echo(in_transaction(lambda uow: accounts.create_api_key(uow, name=name, role=Role(role))))


@api_key.command("list")
def list_keys() -> None:
    """List the keys: name, role, first characters, last use, and whether it is revoked."""
    for key in in_transaction(accounts.list_api_keys):
        used = f"used {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never used"
        click.echo("\t".join([key.name, key.role, f"{key.prefix}…", "revoked" if key.revoked_at else used]))


@api_key.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Make the key NAME worthless from now on."""
    in_transaction(lambda uow: accounts.revoke_api_key(uow, name))
    click.echo(f"revoked {name}")
