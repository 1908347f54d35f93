"""``earmark model``: import, build, list and activate models. torch is loaded only by the commands that compute."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import click
import httpx2
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn

from app.cli.bundles import (
    SWITCH,
    announce,
    find_bundle,
    identity,
    in_words,
    name_of,
    prepared_settings,
    refuse_taken,
    register,
    stage_progress,
)
from app.cli.model_service import rollback, shadow
from app.cli.precisions import check, choices_for, in_lines
from app.cli.training import evaluate, export_reviews_command, fit
from app.cli.transactions import in_transaction
from app.services import models
from app.settings import Settings

_PUBLIC_NAME = "ccmusic"
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60


@click.group()
def model() -> None:
    """Import, build, list and activate models."""


model.add_command(check)
model.add_command(fit)
model.add_command(evaluate)
model.add_command(export_reviews_command)
model.add_command(rollback)
model.add_command(shadow)


@model.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@identity(_PUBLIC_NAME)
def import_(path: Path, name: str, version: str) -> None:
    """Turn the public checkpoint (save.pt) at PATH into a model. No code in it is run."""
    settings = prepared_settings()
    refuse_taken(settings, name, version)
    _import(settings, path, name, version)


@model.command()
@click.option("--url", help="Address of the checkpoint. Default: EARMARK_MODEL_URL.")
@click.option("--sha256", help="What the file's SHA-256 must be.")
@identity(_PUBLIC_NAME)
def pull(url: str | None, sha256: str | None, name: str, version: str) -> None:
    """Download the public checkpoint and import it."""
    settings = prepared_settings()
    address = url or settings.model_url
    if address is None:
        raise click.ClickException("say where the checkpoint is: --url ADDRESS, or set EARMARK_MODEL_URL")
    refuse_taken(settings, name, version)
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=settings.bundles_dir) as folder:
        path = Path(folder) / "save.pt"
        found = _download(address, path)
        if sha256 is not None and found != sha256.lower():
            raise click.ClickException(f"{address}: its SHA-256 is {found}, not {sha256}; nothing was imported")
        _import(settings, path, name, version)


@model.command("list")
@click.option("--long", "long_", is_flag=True, help="Also what the self-check has measured on this machine.")
def list_(*, long_: bool) -> None:
    """List the models on this machine; * marks the active one."""
    from app.errors import ModelBroken  # noqa: PLC0415
    from app.inference.bundle import bundle_paths, read_card  # noqa: PLC0415

    settings = prepared_settings()
    active = in_transaction(models.active_model)
    for path in bundle_paths(settings.bundles_dir):
        try:
            card = read_card(path)
        except ModelBroken as error:
            click.echo(f"! {error}")
            continue
        mark = "*" if active and (active.name, active.version) == (card.name, card.version) else " "
        metrics = "".join(f", {in_words(metric, value)}" for metric, value in card.metrics.items())
        click.echo(f"{mark} {card.name}/{card.version}\t{'starter, ' if card.starter else ''}{card.source}{metrics}")
        if long_ and (choice := choices_for(settings, card.sha256).choice()):
            click.echo("\n".join(in_lines(choice)))


@model.command()
@click.argument("model_name", metavar="NAME[/VERSION]")
def activate(model_name: str) -> None:
    """Make this the model that all workers go over to. It is verified first."""
    from app.inference.bundle import verify  # noqa: PLC0415

    bundle = verify(find_bundle(prepared_settings(), model_name))
    register(bundle, activate=True)
    click.echo(f"{name_of(bundle)} is active. {SWITCH}")


@model.command()
@click.argument("model_name", metavar="[NAME[/VERSION]]", required=False)
def verify(model_name: str | None) -> None:
    """Check the files of a model, or of all: card, checksum, and every tensor."""
    from app.inference import bundle as bundles  # noqa: PLC0415

    settings = prepared_settings()
    paths = [find_bundle(settings, model_name)] if model_name else bundles.bundle_paths(settings.bundles_dir)
    if not paths:
        raise click.ClickException(f"there is no model in {settings.bundles_dir}")
    for path in paths:
        click.echo(f"{name_of(bundles.verify(path))} is intact")


@model.command()
def starter() -> None:
    """Build the starter model, unless it is there and intact. It takes a minute or two."""
    from app.errors import ModelBroken  # noqa: PLC0415
    from app.inference import bundle as bundles  # noqa: PLC0415
    from app.inference import starter as starters  # noqa: PLC0415
    from app.inference.device import choose_placement  # noqa: PLC0415
    from app.inference.picture import FeatureExtractor  # noqa: PLC0415

    settings = prepared_settings()
    try:
        bundle = bundles.verify(bundles.bundle_path(settings.bundles_dir, starters.NAME, starters.VERSION))
    except ModelBroken:
        placement = choose_placement(settings.device, settings.precision)
        with stage_progress() as report:
            bundle = starters.build_starter(settings.bundles_dir, FeatureExtractor(), placement, report)
    announce(bundle)


def _import(settings: Settings, path: Path, name: str, version: str) -> None:
    from app.inference.checkpoint import import_checkpoint  # noqa: PLC0415

    announce(import_checkpoint(path, settings.bundles_dir, name, version))


def _download(address: str, path: Path) -> str:
    """Fetch a file; returns its SHA-256."""
    digest = hashlib.sha256()
    try:
        with (
            httpx2.stream("GET", address, follow_redirects=True, timeout=_TIMEOUT_S) as response,
            Progress(
                TextColumn("Downloading"), BarColumn(), DownloadColumn(), console=Console(stderr=True)
            ) as progress,
            path.open("wb") as file,
        ):
            response.raise_for_status()
            size = response.headers.get("Content-Length")
            task = progress.add_task("", total=int(size) if size else None)
            for chunk in response.iter_bytes(_CHUNK_BYTES):
                file.write(chunk)
                digest.update(chunk)
                progress.advance(task, len(chunk))
    except (httpx2.HTTPError, httpx2.InvalidURL) as error:
        raise click.ClickException(f"{address} can't be downloaded: {error}") from error
    return digest.hexdigest()
