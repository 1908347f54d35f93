"""The file of the model is damaged or replaced under the feet of a real worker, which has two hundred recordings to hear."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from app.db.models import Job
from app.domain.jobs import JobKind, JobState
from app.inference.bundle import Bundle, write_bundle
from app.services.models import NewModel
from app.services.workers import workers_status
from tests.support.bundles import a_description, random_state
from tests.support.families import resident_bytes
from tests.support.service import Service
from tests.support.sounds import encode, melody
from tests.support.under_load import UnderLoad, under_load

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

UPLOADS = 200
WORKER_LIMIT_BYTES = 2_500_000_000
RECORDING = encode(melody(3.0), 44_100, "wav")


def recording(number: int) -> bytes:
    """The same sound in ever another file."""
    return RECORDING + b"%08d" % number


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    return write_bundle(tmp_path_factory.mktemp("models"), a_description(), random_state())


@pytest.fixture
async def hearing(tmp_path: Path, bundle: Bundle) -> AsyncIterator[UnderLoad]:
    """A service with a real worker. In float32 the network computes with the weights as they are in the file."""
    models_dir = tmp_path / "models"
    shutil.copytree(bundle.path, models_dir / "test" / "1")
    service = Service(
        tmp_path / "data",
        loader="workers.model:open_loader",
        models_dir=str(models_dir),
        precision="fp32",
        lease_s="20",
    )
    new = NewModel(kind=JobKind.GENRE, name="test", version="1", sha256=bundle.card.sha256, starter=False, card={})
    async with under_load(service, content=recording, model=new) as it:
        yield it


def overwrite(weights: Path) -> None:
    size_bytes = weights.stat().st_size
    with weights.open("r+b") as file:
        file.seek(size_bytes // 2)
        file.write(bytes(size_bytes // 2))


def truncate(weights: Path) -> None:
    os.truncate(weights, weights.stat().st_size // 2)


def replace(weights: Path) -> None:
    other = weights.with_name("other")
    other.write_bytes(weights.read_bytes()[::-1])
    other.replace(weights)


@pytest.mark.parametrize("damage", [overwrite, truncate, replace])
async def test_results_stay_right_and_the_next_worker_says_what_is_wrong(hearing, bundle, damage):
    weights = Path(hearing.service.environment["EARMARK_MODELS_DIR"]) / "test" / "1" / bundle.weights.name
    hearing.load.begin(UPLOADS)
    await hearing.until_done(20)
    await asyncio.to_thread(damage, weights)
    await hearing.until_done(80)
    worker = hearing.service.find("earmark worker")
    assert resident_bytes(worker) < WORKER_LIMIT_BYTES
    os.kill(worker, signal.SIGKILL)
    assert str(weights) in await message(hearing)
    shutil.copy(bundle.weights, weights)
    assert await hearing.assert_nothing_lost() == {JobState.DONE: UPLOADS}
    async with hearing.parts.store.reading() as uow:
        answers = (await uow.session.execute(select(Job.genre, Job.probability))).all()
    assert len({genre for genre, _ in answers}) == 1
    assert max(it.probability for it in answers) - min(it.probability for it in answers) < 1e-3


async def message(hearing: UnderLoad) -> str:
    """What people are told of the worker that can't start. It says so in its row, so this asks again and again."""
    async with asyncio.timeout(120):
        while True:
            async with hearing.parts.store.reading() as uow:
                if said := (await workers_status(uow)).message:
                    return said
            await asyncio.sleep(0.2)
