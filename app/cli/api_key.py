"""``earmark api-key``: give and revoke keys of programs."""

from __future__ import annotations

from datetime import timedelta

import click

from app.cli.transactions import in_transaction
from app.domain.api_keys import ApiKeyOut, NewApiKey
from app.domain.ids import utc_now
from app.domain.permissions import Permission, Role
from app.services import api_keys


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
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    type=click.Choice([permission.value for permission in Permission]),
    help="Only this of what the role may do; may be given several times.",
)
@click.option(
    "--expires-in-days", type=click.IntRange(1, 3650), help="Days after which it is worthless. Default: never."
)
@click.option(
    "--show-webhook-secret", is_flag=True, help="Also print the secret that signs callbacks, on a second line."
)
def create(
    name: str, role: str, scopes: tuple[str, ...], expires_in_days: int | None, *, show_webhook_secret: bool
) -> None:
    """Make a key and print it, this once."""
    wanted = NewApiKey(
        name=name,
        role=Role(role),
        scopes=[Permission(scope) for scope in scopes] or None,
        expires_at=utc_now() + timedelta(days=expires_in_days) if expires_in_days else None,
    )
    made = in_transaction(lambda uow: api_keys.create_api_key(uow, wanted))
    click.echo(made.key)
    if show_webhook_secret:
        click.echo(made.webhook_secret)


@api_key.command("list")
def list_keys() -> None:
    """List the keys: name, role, first characters, last use or that it is worthless, scopes, end."""
    for key in in_transaction(api_keys.list_api_keys):
        scopes = ",".join(key.scopes) if key.scopes is not None else "all of the role"
        end = f"expires {key.expires_at:%Y-%m-%d}" if key.expires_at else "never expires"
        click.echo("\t".join([key.name, key.role, f"{key.prefix}…", _state(key), scopes, end]))


def _state(key: ApiKeyOut) -> str:
    if key.revoked_at:
        return "revoked"
    if key.expires_at and key.expires_at <= utc_now():
        return "expired"
    return f"used {key.last_used_at:%Y-%m-%d %H:%M} UTC" if key.last_used_at else "never used"


@api_key.command()
@click.argument("name")
def revoke(name: str) -> None:
    """Make the key NAME worthless from now on."""
    in_transaction(lambda uow: api_keys.revoke_api_key(uow, name))
    click.echo(f"revoked {name}")
