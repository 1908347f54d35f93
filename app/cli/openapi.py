"""``earmark openapi``: what the API and its errors are, as files."""

from __future__ import annotations

import click
import msgspec

from app.main import create_app
from app.routes.docs import errors_markdown
from app.settings import Settings


@click.command()
@click.option("--errors", is_flag=True, help="Print docs/errors.md instead.")
def openapi(*, errors: bool) -> None:
    """Print the OpenAPI 3.1 description of the API as JSON."""
    if errors:
        click.echo(errors_markdown(), nl=False)
        return
    # The description does not depend on the settings.
    description = create_app(Settings.model_construct()).openapi_schema.to_schema()
    click.echo(msgspec.json.format(msgspec.json.encode(description), indent=2).decode())
