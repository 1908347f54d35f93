"""``earmark bench``: what this machine makes of Earmark, as ratios in one run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from app.settings import Settings, load_settings

if TYPE_CHECKING:
    from app.cli.bench.report import Section
    from app.cli.bench.subject import Bench

_BENCHES = ("model", "features", "decode", "sandbox", "pipeline", "workers", "start", "memory", "slow-core")
_FEWEST_FIDELITY_FILES = 100


@click.group(invoke_without_command=True)
@click.option(
    "--model", "model_name", default="starter/1", show_default=True, metavar="NAME/VERSION", help="Which model."
)
@click.option(
    "--rounds", type=click.IntRange(1, 100), default=5, show_default=True, help="Repeats, of which the median counts."
)
@click.option(
    "--files", type=click.IntRange(8, 10_000), default=200, show_default=True, help="Recordings through the queue."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON instead of tables.")
@click.pass_context
def bench(context: click.Context, model_name: str, rounds: int, files: int, *, as_json: bool) -> None:
    """Measure speed, memory and fidelity on this machine; without a subcommand, everything.

    Recordings are synthesised once and kept in the data folder's cache. Ratios are taken in one run, with the cases taking
    turns; still, other programs should be quiet. Exit code 1: a target was missed.
    """
    context.obj = (model_name, rounds, files, as_json)
    if context.invoked_subcommand is None:
        _report(context.obj, [*_BENCHES, "fidelity"], None)


def _subcommand(name: str, text: str) -> None:
    @bench.command(name, help=text)
    @click.pass_obj
    def measured(options: tuple[str, int, int, bool]) -> None:
        _report(options, [name], None)


_subcommand("model", "The network in each precision, against torch in float32.")
_subcommand("features", "CQT and pictures of 30 s on one core.")
_subcommand("decode", "Decoding 30 s, against librosa.load.")
_subcommand("sandbox", "What it costs to decode in a process that may do nothing else.")
_subcommand("pipeline", "Uploads through the queue, against the stages alone.")
_subcommand("workers", "Two workers pinned to a core each, against one.")
_subcommand("start", "From the commands to readiness, with a checkpoint of full size.")
_subcommand("memory", "A worker's memory, with a checkpoint of full size.")
_subcommand("long", "A recording of ten hours: memory and speed of everything but the network.")
_subcommand("slow-core", "30 s of audio on one core without AVX-512 and AMX.")


@bench.command()
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False), required=False)
@click.pass_obj
def fidelity(options: tuple[str, int, int, bool], folder: Path | None) -> None:
    """Earmark against the reference program on the recordings in FOLDER (default: 112 synthesised ones)."""
    _report(options, ["fidelity"], folder)


def _report(options: tuple[str, int, int, bool], names: list[str], folder: Path | None) -> None:
    import msgspec  # noqa: PLC0415  as torch and the rest: for these commands alone

    from app.cli.bench import report as reports  # noqa: PLC0415

    model_name, rounds, files, as_json = options
    found = _open(load_settings(), model_name, rounds, files)
    machine = reports.machine()
    sections = []
    for name in names:
        click.echo(f"Measuring: {name}", err=True)
        sections.append(_call(name, found, folder))
    settings = {
        "model": model_name,
        "precision": f"{found.settings.precision}: {found.plan.precision}",
        "threads": str(found.choices.threads),
        "rounds": str(rounds),
    }
    report = reports.Report(machine, reports.versions(), settings, sections)
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(report), indent=2).decode())
    else:
        reports.print_report(report)
    sys.exit(1 if report.missed else 0)


def _open(settings: Settings, model_name: str, rounds: int, files: int) -> Bench:
    import torch  # noqa: PLC0415

    from app.cli.bench.subject import Bench  # noqa: PLC0415
    from app.inference.bundle import bundle_path, verify  # noqa: PLC0415

    settings.prepare_data_dir()
    name, _, version = model_name.partition("/")
    bundle = verify(bundle_path(settings.bundles_dir, name, version or "1"))
    found = Bench(settings, bundle, rounds, files)
    torch.set_num_threads(found.choices.threads)
    return found


def _call(name: str, found: Bench, folder: Path | None) -> Section:
    from app.cli.bench import long, material, processes, sandbox, slow_core, stages  # noqa: PLC0415
    from app.cli.bench.fidelity import fidelity as compare  # noqa: PLC0415

    if name == "fidelity":
        if folder is None:
            folder = found.clips_dir
            material.clips(folder, 7 * 16)
        return compare(found, folder)
    benches: dict[str, Callable[[Bench], Section]] = {
        "model": stages.model,
        "features": stages.features,
        "decode": stages.decode,
        "sandbox": sandbox.sandbox,
        "pipeline": processes.pipeline,
        "workers": processes.workers,
        "start": processes.start,
        "memory": processes.memory,
        "slow-core": slow_core.slow_core,
        "long": long.long,
    }
    return benches[name](found)
