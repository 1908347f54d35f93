"""``earmark sign-in-link``: print a one-time sign-in link (local mode)."""

from __future__ import annotations

import click

from app.cli.transactions import in_transaction
from app.services import accounts
from app.settings import load_settings


@click.command()
def sign_in_link() -> None:
    """Print a link that signs one browser in, once, within the hour."""
    settings = load_settings()
    if not settings.local_mode:
        raise click.ClickException("EARMARK_OIDC_ISSUER is set: people sign in at the identity provider, not by a link")
    token = in_transaction(accounts.create_sign_in_link)
    click.echo(f"{settings.base_url}/sign-in/{token}")
