"""What the commands that make and choose models share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from app.cli.transactions import in_transaction
from app.db.uow import UnitOfWork
from app.services import models
from app.services.models import NewModel
from app.settings import Settings, load_settings

if TYPE_CHECKING:
    from app.inference.bundle import Bundle
    from app.inference.fit import Report

SWITCH = "Running workers go over to it within seconds."
FIRST_VERSION = "1"
_STAGES = {
    "music": "Hearing examples",
    "trunk": "Tuning the trunk",
    "features": "Looking at pictures",
    "epochs": "Training",
}


def identity(default_name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options --name and --version."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        version = click.option("--version", default=FIRST_VERSION, show_default=True, help="Its version.")
        name = click.option("--name", default=default_name, show_default=True, help="What to call the model.")
        return name(version(command))

    return add


def prepared_settings() -> Settings:
    settings = load_settings()
    settings.prepare_data_dir()
    settings.bundles_dir.mkdir(parents=True, exist_ok=True)
    return settings


def refuse_taken(settings: Settings, name: str, version: str) -> None:
    from app.inference.bundle import bundle_path  # noqa: PLC0415

    if bundle_path(settings.bundles_dir, name, version).exists():
        raise click.ClickException(f"there is a model {name}/{version} already: give another --name or --version")


def find_bundle(settings: Settings, model_name: str) -> Path:
    """The folder of NAME/VERSION; of several versions of a NAME the one made last."""
    from app.inference.bundle import bundle_path, bundle_paths, read_card  # noqa: PLC0415

    name, slash, version = model_name.partition("/")
    if slash:
        return bundle_path(settings.bundles_dir, name, version)
    found = [path for path in bundle_paths(settings.bundles_dir) if path.parent.name == name]
    if not found:
        raise click.ClickException(f"there is no model called {name} in {settings.bundles_dir}")
    return max(found, key=lambda path: read_card(path).created_at)


def announce(bundle: Bundle) -> None:
    """Write the new model down; it becomes the active one in place of none or of a starter, else the choice is the user's."""
    active = in_transaction(models.active_model)
    takes_over = active is None or active.starter
    register(bundle, activate=takes_over)
    click.echo(f"{name_of(bundle)}: {bundle.card.source}. {bundle.card.limits}")
    for metric, value in bundle.card.metrics.items():
        click.echo(f"  {in_words(metric, value)}")
    click.echo(f"It is active. {SWITCH}" if takes_over else f"To use it: earmark model activate {name_of(bundle)}")


def register(bundle: Bundle, *, activate: bool) -> None:
    card = bundle.card
    new = NewModel(
        kind=card.kind,
        name=card.name,
        version=card.version,
        sha256=card.sha256,
        starter=card.starter,
        card=msgspec.to_builtins(card),
    )

    async def write(uow: UnitOfWork) -> None:
        await models.register_model(uow, new)
        if activate:
            await models.activate_model(uow, card.name, card.version)

    in_transaction(write)


def name_of(bundle: Bundle) -> str:
    return f"{bundle.card.name}/{bundle.card.version}"


def in_words(metric: str, value: float) -> str:
    return f"{metric.replace('_', ' ')}: {value:.1%}"


@contextmanager
def stage_progress() -> Iterator[Report]:
    """Bars on stderr, one a stage."""
    bars: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:

        def report(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(_STAGES[stage])
            progress.update(bars[stage], completed=done, total=total)

        yield report
