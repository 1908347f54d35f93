"""A real worker process with a stand-in for the compute layer: a file's content is the order what to do.

Run as a program; the settings come from the environment as for the real one.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np

from app.domain.failures import AnalysisFailed, FailureCode
from app.domain.genres import GENRES
from app.domain.ids import new_id
from app.domain.results import ModelRef, Window
from app.inference.contracts import Analysis, Clip
from app.resources import Resources
from app.settings import Settings, load_settings
from workers.analysis import LoadedModel
from workers.process import run_analysis

CLIP = Clip(
    samples=np.zeros(0, np.float32),
    duration_s=30.0,
    sample_rate_hz=44_100,
    channels=2,
    title=None,
    artist=None,
    audible=True,
)


def order(do: str, path: Path | None = None) -> bytes:
    """Content of a file. ``do``: done, wait (until ``path`` is there), kill, boom, corrupt.

    With a path, every start of the work adds a line to ``path``.log.
    """
    return json.dumps({"do": do, "path": str(path) if path else None}).encode()


async def _until_there(path: Path) -> None:
    """Nobody tells one process of another's files, so this asks again and again."""
    while not path.exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.02)


class StandIn:
    """Does what the content orders."""

    async def analyse(self, content: bytes) -> Analysis:
        wanted = json.loads(content)
        path = Path(wanted["path"]) if wanted["path"] else None
        if path is not None:
            with path.with_suffix(".log").open("a") as file:
                file.write(f"{os.getpid()}\n")
        match wanted["do"]:
            case "wait":
                assert path is not None
                await _until_there(path)
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "boom":
                raise RuntimeError("boom")
            case "corrupt":
                raise AnalysisFailed(FailureCode.AUDIO_CORRUPT)
        row = [0.85] + [0.01] * (len(GENRES) - 1)
        return Analysis(CLIP, [Window(0.0, 11.4, row)], 30.0, b"png", 1.0, 2.0, 3.0)


@asynccontextmanager
async def open_stand_in(settings: Settings, parts: Resources) -> AsyncIterator[LoadedModel]:
    yield LoadedModel(new_id(), ModelRef(name="stand-in", version="1", sha256="0" * 64, starter=False), StandIn())


if __name__ == "__main__":
    sys.exit(run_analysis(load_settings(), open_stand_in))
