"""``earmark classify``: hear recordings right here. No server, no database; the model is the one of the models folder."""

from __future__ import annotations

import asyncio
import csv
import io
import logging
import sys
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec
import structlog
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from app.cli.recordings import recordings_of
from app.domain.failures import AnalysisFailed
from app.domain.genres import BY_ID
from app.domain.ids import new_id, utc_now
from app.domain.jobs import JobKind
from app.domain.reports import TOP, Cell, unformulated
from app.domain.results import GenreResult, Timings, genre_result
from app.domain.views import ModelOut
from app.settings import Settings, load_settings

if TYPE_CHECKING:
    from app.inference.bundle import Bundle
    from workers.serving import LoadedModel

_UNREADABLE = "unreadable"
_WIDTH_IN_FILES = 240


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What was heard in a file, or why nothing was: a code of docs/errors.md, and its sentence."""

    file: str
    title: str | None = None
    artist: str | None = None
    result: GenreResult | None = None
    error: str | None = None
    detail: str | None = None


@click.command()
@click.argument("paths", metavar="FILE|DIR...", type=click.Path(path_type=Path, exists=True), nargs=-1, required=True)
@click.option("--json", "style", flag_value="json", help="One JSON object a line, with all probabilities and windows.")
@click.option("--csv", "style", flag_value="csv", help="A table for spreadsheets.")
@click.option("--model", "model_name", metavar="NAME[/VERSION]", help="Default: the model made last, else the starter.")
def classify(paths: tuple[Path, ...], style: str | None, model_name: str | None) -> None:
    """Say the genre of each FILE and of the recordings in each DIR, by a model on this machine.

    Exit code 1: at least one file could not be analysed.
    """
    settings = load_settings()
    _log_to_stderr()
    files = recordings_of(paths)
    if not files:
        raise click.ClickException("there are no recordings in there")
    bundle = _bundle(settings, model_name)
    findings = asyncio.run(_classify(settings, bundle, files))
    write(findings, style)
    sys.exit(any(finding.error is not None for finding in findings))


def _log_to_stderr() -> None:
    """What is worth a warning; stdout is for the findings."""
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )


def _bundle(settings: Settings, model_name: str | None) -> Bundle:
    from app.cli.bundles import find_bundle  # noqa: PLC0415  torch is slow to import
    from app.inference.bundle import bundle_paths, read_card, verify  # noqa: PLC0415

    if model_name is not None:
        return verify(find_bundle(settings, model_name))
    cards = [(read_card(path), path) for path in bundle_paths(settings.bundles_dir)]
    if not cards:
        raise click.ClickException(f"there is no model in {settings.bundles_dir}: earmark model starter builds one")
    _, chosen = max(cards, key=lambda entry: (not entry[0].starter, entry[0].created_at))
    return verify(chosen)


def _as_model(bundle: Bundle) -> ModelOut:
    card = bundle.card
    return ModelOut(
        id=new_id(),
        kind=JobKind.GENRE,
        name=card.name,
        version=card.version,
        sha256=card.sha256,
        starter=card.starter,
        active=True,
        shadow_share=None,
        created_at=utc_now(),
        card={},
    )


# --- hearing


async def _classify(settings: Settings, bundle: Bundle, files: Sequence[Path]) -> list[Finding]:
    """In the order of the files."""
    from workers.model import open_loader  # noqa: PLC0415

    columns = (TextColumn("Listening"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    async with open_loader(settings) as loader, loader.load(_as_model(bundle)) as model:
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            bar = progress.add_task("", total=len(files))
            findings = []
            async for finding in _in_order(model, files, at_a_time=settings.decode_processes * 2):
                findings.append(finding)
                progress.advance(bar)
    return findings


async def _in_order(model: LoadedModel, files: Sequence[Path], *, at_a_time: int) -> AsyncIterator[Finding]:
    """Several files are heard at a time, and no more are held in memory."""
    slots = asyncio.Semaphore(at_a_time)

    async def hear(file: Path) -> Finding:
        async with slots:
            return await _hear(model, file)

    for task in [asyncio.create_task(hear(file)) for file in files]:
        yield await task


async def _hear(model: LoadedModel, file: Path) -> Finding:
    try:
        analysis = await model.analyser.analyse(partial(asyncio.to_thread, file.read_bytes))
    except OSError as error:
        return Finding(file=str(file), error=_UNREADABLE, detail=error.strerror)
    except AnalysisFailed as error:
        return Finding(file=str(file), error=error.failure.code, detail=str(error))
    timings = Timings(
        queued=0,
        fetch=0,
        decode=analysis.decode_ms,
        features=analysis.features_ms,
        forward=analysis.forward_ms,
        total=analysis.decode_ms + analysis.features_ms + analysis.forward_ms,
    )
    result = genre_result(
        analysis.windows,
        analysed_seconds=analysis.analysed_seconds,
        audible=analysis.clip.audible,
        timings_ms=timings,
        model=model.ref,
    )
    return Finding(file=str(file), title=analysis.clip.title, artist=analysis.clip.artist, result=result)


# --- saying


def _write_json(findings: Sequence[Finding]) -> None:
    for finding in findings:
        click.echo(msgspec.json.encode(finding))


def _cells(finding: Finding) -> list[Cell]:
    if finding.result is None:
        return [finding.file, *[None] * 6, finding.error]
    top_1 = finding.result.top1
    return [
        finding.file,
        finding.title,
        finding.artist,
        top_1.genre,
        round(top_1.probability, 4),
        finding.result.tier,
        "; ".join(f"{score.genre} {score.probability:.4f}" for score in finding.result.probabilities[:TOP]),
        None,
    ]


def _write_csv(findings: Sequence[Finding]) -> None:
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(("file", "title", "artist", "top_1", "probability", "tier", "top_5", "error"))
    writer.writerows([unformulated(cell) for cell in _cells(finding)] for finding in findings)
    click.echo(text.getvalue(), nl=False)


def _write_table(findings: Sequence[Finding]) -> None:
    table = Table(
        Column("File", overflow="fold"), "Genre", "Probability", "Certainty", "Then", box=None, pad_edge=False
    )
    for finding in findings:
        table.add_row(finding.file, *_words(finding))
    width = None if sys.stdout.isatty() else _WIDTH_IN_FILES
    Console(width=width, markup=False, highlight=False).print(table)


def _words(finding: Finding) -> list[str]:
    if finding.result is None:
        return ["failed", "", "", finding.detail or ""]
    first, second, *_ = finding.result.probabilities
    then = f"{_name(second.genre)} {second.probability:.1%}"
    if not finding.result.audible:
        then = "no audible signal: the genre means nothing"
    return [_name(first.genre), f"{first.probability:.1%}", finding.result.tier, then]


def _name(genre: str) -> str:
    return BY_ID[genre].name


def write(findings: Sequence[Finding], style: str | None) -> None:
    """To stdout, as ``json`` (a line each), ``csv``, or a table for people."""
    writers: dict[str | None, Callable[[Sequence[Finding]], None]] = {"json": _write_json, "csv": _write_csv}
    writers.get(style, _write_table)(findings)
