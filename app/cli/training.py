"""``earmark model fit``, ``evaluate`` and ``export-reviews``: how a model learns from what people have decided."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
from rich.console import Console
from rich.table import Table

from app.cli.bundles import announce, find_bundle, identity, name_of, prepared_settings, refuse_taken, stage_progress
from app.cli.transactions import in_transaction
from app.domain.evaluation import Evaluation
from app.resources import open_resources
from app.services import models
from app.services.training_sets import Exported, export_reviews
from app.settings import Settings

if TYPE_CHECKING:
    from app.inference.bundle import Bundle
    from app.inference.fit import Examples, Report

_FITTED_NAME = "fitted"
_Folder = click.Path(path_type=Path, exists=True, file_okay=False)


@click.command()
@click.argument("folder", type=_Folder)
@identity(_FITTED_NAME)
@click.option("--base", metavar="NAME[/VERSION]", help="The model to start from. Default: the active one.")
@click.option(
    "--train",
    "layers",
    type=click.Choice(["head", "last-block"]),
    default="head",
    show_default=True,
    help="What is trained: the linear layers at the end, or the last block of convolutions too (better, and slower).",
)
@click.option("--epochs", type=click.IntRange(1, 1000), default=20, show_default=True, help="At most so many.")
@click.option(
    "--patience",
    type=click.IntRange(1, 1000),
    default=4,
    show_default=True,
    help="Stop after so many without progress.",
)
def fit(  # noqa: PLR0913, PLR0917  each is an option
    folder: Path, name: str, version: str, base: str | None, layers: str, epochs: int, patience: int
) -> None:
    """Fine-tune a model on the recordings in FOLDER/<genre id>/, such as FOLDER/soft_rock/one.mp3.

    Cut off with Ctrl-C, it goes on after its last whole epoch when it is called again with the same options.
    """
    from app.inference.bundle import verify  # noqa: PLC0415
    from app.inference.device import choose_placement  # noqa: PLC0415
    from app.inference.finetuning import Layers, Plan  # noqa: PLC0415
    from app.inference.fitting import Destination, fit_bundle  # noqa: PLC0415

    settings = prepared_settings()
    refuse_taken(settings, name, version)
    start = verify(_chosen(settings, base))
    plan = Plan(layers=Layers(layers), epochs=epochs, patience=patience)
    placement = choose_placement(settings.device, "fp32")
    to = Destination(settings.bundles_dir, name, version)
    with stage_progress() as report:
        examples = asyncio.run(_examples(settings, folder, report, least_per_genre=4))
        bundle = fit_bundle(start, examples, plan, placement, to=to, report=report)
    assert bundle.card.evaluation is not None
    _show(bundle.card.evaluation)
    announce(bundle)


@click.command()
@click.argument("folder", type=_Folder)
@click.option("--model", "model_name", metavar="NAME[/VERSION]", help="The model to judge. Default: the active one.")
@click.option("--json", "as_json", is_flag=True, help="Print everything that was measured as JSON.")
@click.option(
    "--pictures", type=click.Path(path_type=Path, file_okay=False), help="Write the two diagrams there, as SVG."
)
def evaluate(folder: Path, model_name: str | None, as_json: bool, pictures: Path | None) -> None:  # noqa: FBT001  an option
    """Measure a model on the recordings in FOLDER/<genre id>/. Use recordings that it was not fitted on."""
    from app.inference.bundle import verify  # noqa: PLC0415
    from app.inference.diagrams import write_diagrams  # noqa: PLC0415

    settings = prepared_settings()
    bundle = verify(_chosen(settings, model_name))
    with stage_progress() as report:
        examples = asyncio.run(_examples(settings, folder, report, least_per_genre=1))
        found = _judged(bundle, examples, settings, report)
    if pictures is not None:
        pictures.mkdir(parents=True, exist_ok=True)
        write_diagrams(found, pictures)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2))
    else:
        click.echo(f"{name_of(bundle)}: {bundle.card.source}")
        _show(found)


@click.command("export-reviews")
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
def export_reviews_command(folder: Path) -> None:
    """Copy every recording that people have decided on to FOLDER/<genre id>/, ready for fit and evaluate.

    It can be repeated: what is there already is not copied again, and what was decided anew moves.
    """
    settings = prepared_settings()
    exported = asyncio.run(_export(settings, folder))
    click.echo(f"{exported.written} recordings written to {folder}, {exported.unchanged} were there already", nl=False)
    click.echo(f", {exported.moved} moved, {exported.gone} without audio left out.")


async def _export(settings: Settings, folder: Path) -> Exported:
    async with open_resources(settings) as resources:
        return await export_reviews(resources.store, resources.files, folder)


def _chosen(settings: Settings, model_name: str | None) -> Path:
    if model_name is not None:
        return find_bundle(settings, model_name)
    active = in_transaction(models.active_model)
    if active is None:
        raise click.ClickException("no model is active: name one, or run earmark set-up")
    return find_bundle(settings, f"{active.name}/{active.version}")


def _judged(bundle: Bundle, examples: Examples, settings: Settings, report: Report) -> Evaluation:
    from app.inference.judging import judged  # noqa: PLC0415
    from app.inference.loading import Wishes, load_network  # noqa: PLC0415

    wishes = Wishes(device=settings.device, precision=settings.precision, threads=settings.threads)
    network = load_network(bundle, wishes, settings.cache_dir)
    try:
        return judged(network, examples, report)
    finally:
        network.close()


def _show(found: Evaluation) -> None:
    """Figures for people, on standard output."""
    table = Table("genre", "recordings", "precision", "recall", "F1")
    for figures in found.genres:
        if figures.recordings:
            shares = (f"{share:.1%}" for share in (figures.precision, figures.recall, figures.f1))
            table.add_row(figures.genre, str(figures.recordings), *shares)
    Console().print(table)
    click.echo(
        f"{found.recordings} recordings: accuracy {found.accuracy:.1%}, macro F1 {found.macro_f1:.1%}, "
        f"expected calibration error {found.calibration_error:.1%}"
    )


async def _examples(settings: Settings, folder: Path, report: Report, *, least_per_genre: int) -> Examples:
    from app.inference.decoding import SandboxedDecoder  # noqa: PLC0415
    from app.inference.examples import examples_of_folder  # noqa: PLC0415
    from app.inference.picture import FeatureExtractor  # noqa: PLC0415

    decoder = SandboxedDecoder(processes=settings.decode_processes, timeout_s=settings.decode_timeout_s)
    await decoder.start()

    def skipped(path: Path, reason: str) -> None:
        click.echo(f"left out {path}: {reason}", err=True)

    try:
        return await examples_of_folder(
            folder, decoder, FeatureExtractor(), report, skipped=skipped, least_per_genre=least_per_genre
        )
    finally:
        await decoder.close()
