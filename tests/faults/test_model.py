"""A model that is missing or damaged: the worker says so where people look, and comes back when it is mended."""

from __future__ import annotations

import sys

import msgspec
import pytest

from app.domain.genres import GENRE_IDS
from app.domain.ids import utc_now
from app.domain.jobs import JobKind
from app.inference.bundle import ModelCard, Preprocessing
from app.services.models import NewModel, activate_model, register_model
from app.services.workers import WorkersStatus, workers_status
from tests.support.installation import STAND_IN_WORKER, ended, stopped
from workers.process import EXIT_MODEL

pytestmark = pytest.mark.timeout(120)

WORKER = [sys.executable, "-m", "app.cli", "worker"]


async def end_of_a_worker(installation) -> tuple[int, str]:
    with installation.process(WORKER) as worker:
        code = await ended(worker, timeout_s=60)
        assert worker.stdout is not None
        return code, worker.stdout.read()


async def activate(installation) -> None:
    """A model that the database knows, but whose files nobody has put there."""
    new = NewModel(kind=JobKind.GENRE, name="ccmusic", version="1", sha256="0" * 64, starter=False, card={})
    async with installation.parts.store.writing() as uow:
        await register_model(uow, new)
        await activate_model(uow, "ccmusic")


async def message(installation) -> str | None:
    async with installation.parts.store.reading() as uow:
        return (await workers_status(uow)).message


async def test_without_an_active_model(installation):
    code, output = await end_of_a_worker(installation)
    assert code == EXIT_MODEL
    said = await message(installation)
    assert said is not None
    assert "earmark model import" in said
    (line,) = output.splitlines()
    assert msgspec.json.decode(line)["reason"] == said


async def test_the_same_trouble_is_logged_once(installation):
    await end_of_a_worker(installation)
    code, output = await end_of_a_worker(installation)
    assert (code, output) == (EXIT_MODEL, "")
    assert await message(installation)


async def test_files_that_are_missing_are_named(installation):
    await activate(installation)
    code, output = await end_of_a_worker(installation)
    assert code == EXIT_MODEL
    said = await message(installation)
    assert said is not None
    assert str(installation.data_dir / "models" / "ccmusic" / "1" / "card.json") in said
    assert "earmark model" in said
    assert "Traceback" not in output


async def test_weights_that_are_damaged_are_named(installation):
    await activate(installation)
    folder = installation.data_dir / "models" / "ccmusic" / "1"
    folder.mkdir(parents=True)
    card = ModelCard(
        name="ccmusic",
        version="1",
        labels=list(GENRE_IDS),
        preprocessing=Preprocessing(),
        source="a test",
        metrics={},
        limits="",
        sha256="0" * 64,
        starter=False,
        created_at=utc_now(),
    )
    (folder / "card.json").write_bytes(msgspec.json.encode(card))
    (folder / "model.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0half a header")
    code, output = await end_of_a_worker(installation)
    assert code == EXIT_MODEL
    said = await message(installation)
    assert said is not None
    assert str(folder / "model.safetensors") in said
    assert "damaged" in said
    assert "Traceback" not in output


async def test_a_worker_that_can_start_takes_the_message_back(installation):
    await end_of_a_worker(installation)
    with installation.process(STAND_IN_WORKER) as worker:
        await installation.wait_for_ready_worker()
        assert await message(installation) is None
        code, output = await stopped(worker)
    assert code == 0, output
    async with installation.parts.store.reading() as uow:
        assert await workers_status(uow) == WorkersStatus(ready=0, starting=0, message=None)
