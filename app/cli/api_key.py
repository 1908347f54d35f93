"""``earmark api-key``: give and revoke keys of programs."""

from __future__ import annotations

import click

from app.cli.transactions import in_transaction
from app.domain.permissions import Role
from app.services import accounts


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
