"""``earmark model``: import, build, list and activate models. torch is loaded only by the commands that compute."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click
import httpx2
import msgspec
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from app.cli.transactions import in_transaction
from app.db.uow import UnitOfWork
from app.services import models
from app.services.models import NewModel
from app.settings import Settings, load_settings

if TYPE_CHECKING:
    from app.inference.bundle import Bundle
    from app.inference.fit import Examples, Report

_PUBLIC_NAME = "ccmusic"
_FITTED_NAME = "fitted"
_FIRST_VERSION = "1"
_RESTART = "Workers load it at their next start."
_STAGES = {"music": "Hearing examples", "trunk": "Tuning the trunk", "features": "Looking at pictures"}
_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60


@click.group()
def model() -> None:
    """Import, build, list and activate models."""


def _identity(default_name: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """The options --name and --version."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        version = click.option("--version", default=_FIRST_VERSION, show_default=True, help="Its version.")
        name = click.option("--name", default=default_name, show_default=True, help="What to call the model.")
        return name(version(command))

    return add


@model.command("import")
@click.argument("path", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@_identity(_PUBLIC_NAME)
def import_(path: Path, name: str, version: str) -> None:
    """Turn the public checkpoint (save.pt) at PATH into a model. No code in it is run."""
    settings = _prepared_settings()
    _refuse_taken(settings, name, version)
    _import(settings, path, name, version)


@model.command()
@click.option("--url", help="Address of the checkpoint. Default: EARMARK_MODEL_URL.")
@click.option("--sha256", help="What the file's SHA-256 must be.")
@_identity(_PUBLIC_NAME)
def pull(url: str | None, sha256: str | None, name: str, version: str) -> None:
    """Download the public checkpoint and import it."""
    settings = _prepared_settings()
    address = url or settings.model_url
    if address is None:
        raise click.ClickException("say where the checkpoint is: --url ADDRESS, or set EARMARK_MODEL_URL")
    _refuse_taken(settings, name, version)
    with tempfile.TemporaryDirectory(prefix=".pull-", dir=settings.bundles_dir) as folder:
        path = Path(folder) / "save.pt"
        found = _download(address, path)
        if sha256 is not None and found != sha256.lower():
            raise click.ClickException(f"{address}: its SHA-256 is {found}, not {sha256}; nothing was imported")
        _import(settings, path, name, version)


@model.command("list")
def list_() -> None:
    """List the models on this machine; * marks the active one."""
    from app.errors import ModelBroken  # noqa: PLC0415
    from app.inference.bundle import bundle_paths, read_card  # noqa: PLC0415

    settings = _prepared_settings()
    active = in_transaction(models.active_model)
    for path in bundle_paths(settings.bundles_dir):
        try:
            card = read_card(path)
        except ModelBroken as error:
            click.echo(f"! {error}")
            continue
        mark = "*" if active and (active.name, active.version) == (card.name, card.version) else " "
        metrics = "".join(f", {_in_words(metric, value)}" for metric, value in card.metrics.items())
        click.echo(f"{mark} {card.name}/{card.version}\t{'starter, ' if card.starter else ''}{card.source}{metrics}")


@model.command()
@click.argument("model_name", metavar="NAME[/VERSION]")
def activate(model_name: str) -> None:
    """Make this the model that workers load at their next start. It is verified first."""
    from app.inference.bundle import verify  # noqa: PLC0415

    bundle = verify(_find(_prepared_settings(), model_name))
    _register(bundle, activate=True)
    click.echo(f"{_name_of(bundle)} is active. {_RESTART}")


@model.command()
@click.argument("model_name", metavar="[NAME[/VERSION]]", required=False)
def verify(model_name: str | None) -> None:
    """Check the files of a model, or of all: card, checksum, and every tensor."""
    from app.inference import bundle as bundles  # noqa: PLC0415

    settings = _prepared_settings()
    paths = [_find(settings, model_name)] if model_name else bundles.bundle_paths(settings.bundles_dir)
    if not paths:
        raise click.ClickException(f"there is no model in {settings.bundles_dir}")
    for path in paths:
        click.echo(f"{_name_of(bundles.verify(path))} is intact")


@model.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
@_identity(_FITTED_NAME)
def fit(folder: Path, name: str, version: str) -> None:
    """Fit a model on the recordings in FOLDER/<genre id>/, such as FOLDER/soft_rock/one.mp3."""
    from app.inference.device import choose_placement  # noqa: PLC0415
    from app.inference.starter import build_fitted  # noqa: PLC0415

    settings = _prepared_settings()
    _refuse_taken(settings, name, version)
    placement = choose_placement(settings.device, settings.precision)
    with _progress() as report:
        examples = asyncio.run(_examples(settings, folder, report))
        bundle = build_fitted(settings.bundles_dir, examples, placement, report, name=name, version=version)
    _announce(bundle)


@model.command()
def starter() -> None:
    """Build the starter model, unless it is there and intact. It takes a minute or two."""
    from app.errors import ModelBroken  # noqa: PLC0415
    from app.inference import bundle as bundles  # noqa: PLC0415
    from app.inference import starter as starters  # noqa: PLC0415
    from app.inference.device import choose_placement  # noqa: PLC0415
    from app.inference.picture import FeatureExtractor  # noqa: PLC0415

    settings = _prepared_settings()
    try:
        bundle = bundles.verify(bundles.bundle_path(settings.bundles_dir, starters.NAME, starters.VERSION))
    except ModelBroken:
        placement = choose_placement(settings.device, settings.precision)
        with _progress() as report:
            bundle = starters.build_starter(settings.bundles_dir, FeatureExtractor(), placement, report)
    _announce(bundle)


def _prepared_settings() -> Settings:
    settings = load_settings()
    settings.prepare_data_dir()
    settings.bundles_dir.mkdir(parents=True, exist_ok=True)
    return settings


def _refuse_taken(settings: Settings, name: str, version: str) -> None:
    from app.inference.bundle import bundle_path  # noqa: PLC0415

    if bundle_path(settings.bundles_dir, name, version).exists():
        raise click.ClickException(f"there is a model {name}/{version} already: give another --name or --version")


def _find(settings: Settings, model_name: str) -> Path:
    """The folder of NAME/VERSION; of several versions of a NAME the one made last."""
    from app.inference.bundle import bundle_path, bundle_paths, read_card  # noqa: PLC0415

    name, slash, version = model_name.partition("/")
    if slash:
        return bundle_path(settings.bundles_dir, name, version)
    found = [path for path in bundle_paths(settings.bundles_dir) if path.parent.name == name]
    if not found:
        raise click.ClickException(f"there is no model called {name} in {settings.bundles_dir}")
    return max(found, key=lambda path: read_card(path).created_at)


def _import(settings: Settings, path: Path, name: str, version: str) -> None:
    from app.inference.checkpoint import import_checkpoint  # noqa: PLC0415

    _announce(import_checkpoint(path, settings.bundles_dir, name, version))


def _announce(bundle: Bundle) -> None:
    """Write the new model down; it becomes the active one in place of none or of a starter, else the choice is the user's."""
    active = in_transaction(models.active_model)
    takes_over = active is None or active.starter
    _register(bundle, activate=takes_over)
    click.echo(f"{_name_of(bundle)}: {bundle.card.source}. {bundle.card.limits}")
    for metric, value in bundle.card.metrics.items():
        click.echo(f"  {_in_words(metric, value)}")
    click.echo(f"It is active. {_RESTART}" if takes_over else f"To use it: earmark model activate {_name_of(bundle)}")


def _register(bundle: Bundle, *, activate: bool) -> None:
    card = bundle.card
    new = NewModel(
        kind=card.kind,
        name=card.name,
        version=card.version,
        sha256=card.sha256,
        starter=card.starter,
        card=msgspec.to_builtins(card),
    )

    async def register(uow: UnitOfWork) -> None:
        await models.register_model(uow, new)
        if activate:
            await models.activate_model(uow, card.name, card.version)

    in_transaction(register)


def _name_of(bundle: Bundle) -> str:
    return f"{bundle.card.name}/{bundle.card.version}"


def _in_words(metric: str, value: float) -> str:
    return f"{metric.replace('_', ' ')}: {value:.1%}"


async def _examples(settings: Settings, folder: Path, report: Report) -> Examples:
    from app.inference.decoding import SandboxedDecoder  # noqa: PLC0415
    from app.inference.examples import examples_of_folder  # noqa: PLC0415
    from app.inference.picture import FeatureExtractor  # noqa: PLC0415

    decoder = SandboxedDecoder(processes=settings.decode_processes, timeout_s=settings.decode_timeout_s)
    await decoder.start()

    def skipped(path: Path, reason: str) -> None:
        click.echo(f"left out {path}: {reason}", err=True)

    try:
        return await examples_of_folder(folder, decoder, FeatureExtractor(), report, skipped=skipped)
    finally:
        await decoder.close()


@contextmanager
def _progress() -> Iterator[Report]:
    """Bars on stderr, one a stage."""
    bars: dict[str, TaskID] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
    with Progress(*columns, TimeElapsedColumn(), console=Console(stderr=True)) as progress:

        def report(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                bars[stage] = progress.add_task(_STAGES[stage])
            progress.update(bars[stage], completed=done, total=total)

        yield report


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
