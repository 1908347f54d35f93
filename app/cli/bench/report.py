"""What a bench has found out: figures with their targets, as a table for people or as JSON."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import msgspec
from rich.console import Console
from rich.table import Table

from app.inference.choices import cpu

_PACKAGES = ("earmark", "torch", "openvino", "numpy", "soundfile", "soxr", "av", "pillow", "librosa", "matplotlib")
_TELLING_FLAGS = ("avx2", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8", "asimd", "bf16")


class Figure(msgspec.Struct, frozen=True):
    """``target`` in words, empty where there is none; ``met`` is None then."""

    name: str
    value: float
    unit: str
    target: str = ""
    met: bool | None = None


class Section(msgspec.Struct, frozen=True):
    """One bench's figures and the circumstances that they hold for."""

    name: str
    figures: list[Figure]
    notes: list[str] = []


class Report(msgspec.Struct, frozen=True):
    machine: dict[str, str]
    versions: dict[str, str]
    settings: dict[str, str]
    sections: list[Section]

    @property
    def missed(self) -> list[Figure]:
        return [figure for section in self.sections for figure in section.figures if figure.met is False]


def at_most(name: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(name, value, unit, f"≤ {limit:g}", value <= limit)


def at_least(name: str, value: float, unit: str, limit: float) -> Figure:
    return Figure(name, value, unit, f"≥ {limit:g}", value >= limit)


def machine() -> dict[str, str]:
    name, flags = cpu()
    memory_gb = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return {
        "processor": name,
        "cores": str(len(os.sched_getaffinity(0))),
        "extensions": " ".join(flag for flag in _TELLING_FLAGS if flag in flags),
        "memory": f"{memory_gb:.0f} GB",
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
    }


def versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def print_report(report: Report) -> None:
    console = Console()
    for title, facts in (("Machine", report.machine), ("Versions", report.versions), ("Settings", report.settings)):
        console.print(f"[bold]{title}[/]: " + ", ".join(f"{name} {value}" for name, value in facts.items()))
    for section in report.sections:
        console.print(_table(section))
        for note in section.notes:
            console.print(f"  {note}")


def _table(section: Section) -> Table:
    table = Table(title=section.name, title_justify="left", title_style="bold")
    table.add_column("")
    table.add_column("value", justify="right")
    table.add_column("target", justify="right")
    table.add_column("")
    for figure in section.figures:
        mark = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[figure.met]
        table.add_row(figure.name, f"{figure.value:,.4g} {figure.unit}", figure.target, mark)
    return table
