"""The command `earmark` with a stand-in for the compute layer and a clock that a test may set; all else is the real thing.

``$EARMARK_DATA_DIR/clock_offset_s`` says by how much the clock of all its processes is wrong.
"""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.domain import ids

_OFFSET_FILE = Path(os.environ["EARMARK_DATA_DIR"]) / "clock_offset_s"
_true_time = time.time


def _offset_s() -> float:
    try:
        return float(_OFFSET_FILE.read_text() or 0)
    except FileNotFoundError:
        return 0.0


def _utc_now() -> datetime:
    return datetime.now(UTC) + timedelta(seconds=_offset_s())


def _time() -> float:
    return _true_time() + _offset_s()


# Before anything else is imported: modules take these functions by name.
ids.utc_now = _utc_now
time.time = _time

import asyncio  # noqa: E402
import sys  # noqa: E402
from asyncio.subprocess import Process  # noqa: E402

import click  # noqa: E402

from app import cli  # noqa: E402
from app.cli import children  # noqa: E402
from app.integrations.parents import dying_with_parent  # noqa: E402


async def _spawn(*arguments: str) -> Process:
    """What ``children.spawn`` does, for this command."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        __spec__.name,
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=dying_with_parent(),
    )


@click.command()
def worker() -> None:
    """A worker whose compute layer is ``$TEST_LOADER`` (module:attribute)."""
    import importlib  # noqa: PLC0415

    from app.settings import load_settings  # noqa: PLC0415
    from workers.analysis_process import run_analysis  # noqa: PLC0415

    module, _, attribute = os.environ["TEST_LOADER"].partition(":")
    sys.exit(run_analysis(load_settings(), getattr(importlib.import_module(module), attribute)))


children.spawn = _spawn
cli._COMMANDS["worker"] = (__spec__.name, "worker", "Analyse, as a test wants it.")

if __name__ == "__main__":
    cli.main(prog_name="earmark")
