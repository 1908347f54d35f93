"""``earmark doctor``: look at everything, say what is wrong and how to mend it."""

from __future__ import annotations

import asyncio
import sys

import click
import msgspec

from app.cli.doctor.findings import Finding, Verdict, ok, wrong
from app.settings import Settings, SettingsError, load_settings

_SIGNS = {Verdict.OK: click.style("✓", fg="green"), Verdict.WARNING: "!", Verdict.WRONG: click.style("✗", fg="red")}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print the findings as JSON.")
def doctor(*, as_json: bool) -> None:
    """Check settings, folders, limits, dependencies, clocks, workers and model; say what is wrong and how to mend it.

    Changes nothing. Exit code 1 if anything is wrong; what is only worth a warning leaves it at 0.
    """
    findings = _examine()
    if as_json:
        click.echo(msgspec.json.format(msgspec.json.encode(findings), indent=2))
    else:
        _show(findings)
    sys.exit(any(finding.verdict is Verdict.WRONG for finding in findings))


def _examine() -> list[Finding]:
    try:
        settings = load_settings()
    except SettingsError as error:
        return [wrong("settings", str(error), "Correct the variable: docs/settings.md")]
    return [ok("settings", "all values are understood"), *asyncio.run(examine(settings))]


async def examine(settings: Settings) -> list[Finding]:
    """Everything at the same time: what does not answer must not hold up the rest."""
    from app.cli.doctor import services  # noqa: PLC0415
    from app.cli.doctor.machine import examine_machine  # noqa: PLC0415  wrong settings are told without these
    from app.cli.doctor.model import examine_model  # noqa: PLC0415

    examinations = (
        examine_machine,
        services.examine_database,
        services.examine_redis,
        services.examine_storage,
        services.examine_sign_in,
        services.examine_scanner,
        examine_model,
    )
    found = await asyncio.gather(*(examination(settings) for examination in examinations))
    return [finding for findings in found for finding in findings]


def _show(findings: list[Finding]) -> None:
    width = max(len(finding.check) for finding in findings)
    for finding in findings:
        click.echo(f"{_SIGNS[finding.verdict]} {finding.check:<{width}}  {finding.says}")
        if finding.remedy:
            click.echo(f"  {'':<{width}}  → {finding.remedy}")
    counts = [(verdict, sum(finding.verdict is verdict for finding in findings)) for verdict in Verdict]
    click.echo("\n" + ", ".join(f"{count} {verdict}" for verdict, count in counts if count))
