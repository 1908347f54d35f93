"""``earmark model check``, and what ``earmark model list --long`` says: each precision's speed and its cost in accuracy."""

from __future__ import annotations

import click

from app.cli.bundles import find_bundle, name_of, prepared_settings
from app.inference.choices import Choice, Choices
from app.settings import Settings


@click.command()
@click.argument("model_name", metavar="NAME[/VERSION]")
def check(model_name: str) -> None:
    """Measure the model in each precision on this machine, and choose one for EARMARK_PRECISION=auto.

    Workers do this by themselves when they first run a model, half a minute after their start.
    """
    import torch  # noqa: PLC0415  slow to import

    from app.inference import selfcheck  # noqa: PLC0415
    from app.inference.bundle import load_weights, verify  # noqa: PLC0415
    from app.inference.picture import FeatureExtractor  # noqa: PLC0415

    settings = prepared_settings()
    bundle = verify(find_bundle(settings, model_name))
    choices = choices_for(settings, bundle.card.sha256)
    torch.set_num_threads(choices.threads)
    choice = selfcheck.check(load_weights(bundle), choices, FeatureExtractor())
    click.echo(name_of(bundle))
    for line in in_lines(choice):
        click.echo(line)


def choices_for(settings: Settings, model_sha256: str) -> Choices:
    """Where the self-check of a worker with these settings keeps what it finds out."""
    from app.inference.openvino_trunk import default_threads  # noqa: PLC0415

    return Choices(settings.cache_dir, model_sha256, settings.threads or default_threads())


def in_lines(choice: Choice) -> list[str]:
    """A line for each precision, and one for the choice."""
    lines = [
        f"  {found.precision}: {found.windows_per_s:.1f} windows/s, same first choice as fp32 in {found.same_answers:.1%}, "
        f"probabilities {found.mean_difference:.4f} apart on average, {found.worst_difference:.3f} at worst"
        + ("" if found.holds else " (too far for auto)")
        for found in choice.measured
    ]
    return [*lines, f"  auto: {choice.precision}, {choice.batch_windows} windows at once"]
