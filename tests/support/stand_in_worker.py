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
from dataclasses import replace
from pathlib import Path

import numpy as np

from app.domain.failures import AnalysisFailed, FailureCode
from app.domain.genres import GENRES
from app.domain.jobs import JobKind
from app.domain.results import ModelRef, Window
from app.domain.views import ModelOut
from app.inference.contracts import Analysis, Clip, Scores
from app.resources import open_resources
from app.services.models import NewModel, activate_model, active_model, register_model
from app.settings import Settings, load_settings
from workers.analysis_process import run_analysis
from workers.serving import LoadedModel, ModelUnavailable

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
    """Content of a file, or its last line. ``do``: done, wait (until ``path`` is there), kill, boom, corrupt, rest (for ``rest_s``).

    With a path, every start of the work adds a line to ``path``.log.
    """
    return json.dumps({"do": do, "path": str(path) if path else None}).encode()


async def _until_there(path: Path) -> None:
    """Nobody tells one process of another's files, so this asks again and again."""
    while not path.exists():  # noqa: ASYNC110, ASYNC240
        await asyncio.sleep(0.02)


ROW = [0.85] + [0.01] * (len(GENRES) - 1)
PICTURES = np.zeros((1, 224, 224, 3), np.uint8)
BROKEN = "broken"  # the name of a model that can't be loaded


class StandIn:
    """Does what the content orders. A whole recording has as many windows as the order has bytes."""

    async def analyse(self, fetch, *, urgent: bool = True) -> Analysis:  # noqa: ARG002  no difference here
        return await self._obey(await fetch())

    async def _obey(self, content: bytes) -> Analysis:
        wanted = json.loads(content.rpartition(b"\n")[2])
        path = Path(wanted["path"]) if wanted["path"] else None
        if path is not None:
            with path.with_suffix(".log").open("a") as file:
                file.write(f"{os.getpid()}\n")
        match wanted["do"]:
            case "wait":
                assert path is not None
                await _until_there(path)
            case "rest":
                await asyncio.sleep(wanted["rest_s"])
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "boom":
                raise RuntimeError("boom")
            case "corrupt":
                raise AnalysisFailed(FailureCode.AUDIO_CORRUPT)
        return Analysis(CLIP, [Window(0.0, 11.4, ROW)], 30.0, b"png", 1.0, 2.0, 3.0, pictures=PICTURES)

    async def analyse_whole(self, recording_fd: int, report) -> Analysis:
        content = os.pread(recording_fd, 1_000_000, 0)
        await report(0.5)
        analysis = await self._obey(content)
        await report(1.0)
        windows = [Window(10.0 * number, 10.0 * number + 10, ROW) for number in range(len(content))]
        return replace(analysis, windows=windows, pictures=None)

    async def score(self, pictures) -> Scores:
        return Scores(np.asarray([ROW] * len(pictures), np.float32), 1.0)


class StandInLoader:
    @asynccontextmanager
    async def load(self, model: ModelOut) -> AsyncIterator[LoadedModel]:
        if model.name == BROKEN:
            raise ModelUnavailable("the files are broken")
        yield LoadedModel(model.id, ModelRef(model.name, model.version, model.sha256, model.starter), StandIn())


@asynccontextmanager
async def open_stand_ins(settings: Settings) -> AsyncIterator[StandInLoader]:
    yield StandInLoader()


async def _have_a_model(settings: Settings) -> None:
    """A worker begins with the active model, so there must be one."""
    new = NewModel(kind=JobKind.GENRE, name="stand-in", version="1", sha256="0" * 64, starter=False, card={})
    async with open_resources(settings) as parts, parts.store.writing() as uow:
        if await active_model(uow) is None:
            await register_model(uow, new)
            await activate_model(uow, new.name)


if __name__ == "__main__":
    asyncio.run(_have_a_model(load_settings()))
    sys.exit(run_analysis(load_settings(), open_stand_ins))
