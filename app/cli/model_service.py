"""``earmark model rollback`` and ``earmark model shadow``: which model answers, and which is compared with it."""

from __future__ import annotations

import click
from rich.console import Console
from rich.table import Table

from app.cli.transactions import in_transaction
from app.db.uow import UnitOfWork
from app.domain.views import ModelOut, ShadowReportOut
from app.services import models, shadows
from app.services.api_keys import COMMAND_LINE


@click.command()
def rollback() -> None:
    """Make the model active again that was so before. Running workers go over to it within seconds."""
    model = in_transaction(lambda uow: models.roll_back(uow, COMMAND_LINE))
    click.echo(f"{_name(model)} is active again.")


@click.command()
@click.argument("model_name", metavar="[NAME[/VERSION]]", required=False)
@click.option("--share", type=click.FloatRange(0, 1, min_open=True), default=0.1, show_default=True)
@click.option("--off", is_flag=True, help="Put no model into the shadow any more.")
@click.option("--report", "wants_report", is_flag=True, help="Show how it compares with the active model.")
def shadow(model_name: str | None, share: float, *, off: bool, wants_report: bool) -> None:
    """Let a second model score a share of the uploads for comparison; nobody sees or waits for its answers."""
    if off:
        in_transaction(lambda uow: shadows.stop_shadow(uow, COMMAND_LINE))
        click.echo("No model is in the shadow.")
    elif wants_report:
        _show(in_transaction(lambda uow: _report(uow, model_name)))
    elif model_name is None:
        raise click.UsageError("say which model, or --report, or --off")
    else:
        name = model_name
        model = in_transaction(lambda uow: _start(uow, name, share))
        click.echo(f"{_name(model)} scores {share:.0%} of the uploads. Compare: earmark model shadow --report")


async def _start(uow: UnitOfWork, model_name: str, share: float) -> ModelOut:
    model = await models.find_model(uow, *_parts(model_name))
    return await shadows.start_shadow(uow, COMMAND_LINE, model.id, share)


async def _report(uow: UnitOfWork, model_name: str | None) -> ShadowReportOut | None:
    model = await models.find_model(uow, *_parts(model_name)) if model_name else None
    return await shadows.shadow_report(uow, model.id if model else None)


def _parts(model_name: str) -> tuple[str, str | None]:
    name, _, version = model_name.partition("/")
    return name, version or None


def _name(model: ModelOut) -> str:
    return f"{model.name}/{model.version}"


def _show(report: ShadowReportOut | None) -> None:
    if report is None:
        raise click.ClickException("no model is in the shadow: earmark model shadow NAME, or name one with --report")
    click.echo(f"{_name(report.model)} against {_name(report.active)}: {report.jobs} uploads")
    if report.agreement is None or report.mean_difference is None:
        return
    click.echo(
        f"same first genre: {report.agreement:.1%}, mean difference of probabilities: {report.mean_difference:.4f}"
    )
    table = Table("genre", "uploads", "same", "mean difference", "most often instead")
    for genre in report.genres:
        table.add_row(
            genre.genre,
            str(genre.jobs),
            f"{genre.agreement:.1%}",
            f"{genre.mean_difference:.4f}",
            genre.most_often_instead or "",
        )
    Console().print(table)
