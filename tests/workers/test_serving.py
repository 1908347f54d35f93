"""The model in service is replaced while jobs go on; what can't be loaded changes nothing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import replace

import numpy as np
import pytest
from sqlalchemy import select

from app.db.models import Job, ShadowScore
from app.domain.ids import new_id
from app.domain.jobs import JobKind, JobState
from app.domain.keys import audio_key
from app.domain.results import ModelRef
from app.inference.contracts import Scores
from app.services import models, shadows
from app.services.api_keys import COMMAND_LINE
from app.services.jobs import get_job
from app.services.models import NewModel
from app.services.workers import list_workers, workers_status
from tests.support.factories import ADMIN, make_job, make_principal
from tests.support.stand_in_worker import ROW, StandIn, order
from tests.workers.parts import analyst_of
from workers import following
from workers.following import Follower
from workers.heartbeat import Heartbeat
from workers.serving import LoadedModel, ModelUnavailable, Serving
from workers.shadowing import Shadow

OTHER_ROW = ROW[::-1]


class Opinionated(StandIn):
    """Scores pictures with a row of its own."""

    def __init__(self, row: list[float]) -> None:
        self.row = row
        self.scored = 0

    async def score(self, pictures) -> Scores:
        self.scored += len(pictures)
        return Scores(np.asarray([self.row] * len(pictures), np.float32), 1.0)


class Loader:
    """Loads anything but what is in ``broken``, and knows what is loaded."""

    def __init__(self) -> None:
        self.broken: set[str] = set()
        self.loaded: list[str] = []
        self.tried: list[str] = []
        self.analysers = {"one": Opinionated(ROW), "two": Opinionated(OTHER_ROW), "three": Opinionated(ROW)}

    @asynccontextmanager
    async def load(self, model):
        self.tried.append(model.name)
        if model.name in self.broken:
            raise ModelUnavailable(f"{model.name} is broken")
        self.loaded.append(model.name)
        try:
            ref = ModelRef(model.name, model.version, model.sha256, model.starter)
            yield LoadedModel(model.id, ref, self.analysers[model.name])
        finally:
            self.loaded.remove(model.name)


async def until(question):
    """Ask again and again until the answer is true; nobody tells."""
    while not (answer := await question()):  # noqa: ASYNC110
        await asyncio.sleep(0.01)
    return answer


class House:
    """A worker without its process: everything that follows the database, to be asked for a look at it."""

    def __init__(self, store, files, serving, analyst, shadow) -> None:  # noqa: PLR0917  the parts of a worker
        self.store, self.files = store, files
        self.serving, self.analyst, self.shadow = serving, analyst, shadow
        self.heartbeat = Heartbeat(analyst.worker_id, store, lease_s=20)
        self.follower = Follower(store, serving, shadow, tell=self.heartbeat.beat)

    async def activate(self, name: str) -> None:
        async with self.store.writing() as uow:
            await models.activate_model(uow, name)
        await self.follower.look()

    async def shadow_with(self, name: str, share: float = 1.0) -> None:
        async with self.store.writing() as uow:
            model = await models.find_model(uow, name)
            await shadows.start_shadow(uow, COMMAND_LINE, model.id, share)
        await self.follower.look()

    async def submit(self, content: bytes):
        job = await make_job(self.store, await make_principal(self.store))
        await self.files.put_bytes(audio_key(job.asset.id), content)
        return job.id

    async def job(self, job_id):
        async with self.store.reading() as uow:
            return await get_job(uow, ADMIN, job_id)

    async def wait_for(self, job_id, state: JobState):
        async def reached() -> bool:
            return (await self.job(job_id)).state is state

        await until(reached)

    def loaded(self, name: str):
        async def alone() -> bool:
            return self.loader.loaded == [name]

        return alone

    def has_scored(self, name: str):
        async def scored() -> int:
            return self.loader.analysers[name].scored

        return scored

    async def status(self):
        async with self.store.reading() as uow:
            return await workers_status(uow), await list_workers(uow)


@pytest.fixture
async def house(sqlite_store, files):
    store = sqlite_store
    async with store.writing() as uow:
        for name in ("one", "two", "three"):
            new = NewModel(kind=JobKind.GENRE, name=name, version="1", sha256=name, starter=False, card={})
            await models.register_model(uow, new)
        first = await models.activate_model(uow, "one")
    loader = Loader()
    async with asyncio.timeout(30), Serving(loader, first) as serving:
        analyst = analyst_of(store, files, serving)
        shadow = Shadow(loader, store, idle=analyst.idle)
        analyst.tell = shadow.offer
        house = House(store, files, serving, analyst, shadow)
        house.loader = loader
        await house.heartbeat.serve(analyst, serving)
        yield house
        await shadow.close()
    assert loader.loaded == []


async def test_jobs_keep_the_model_they_began_with(house, tmp_path):
    go = tmp_path / "go"
    before, after = [await house.submit(content) for content in (order("wait", go), order("done"))]
    work = asyncio.create_task(house.analyst.handle(before))
    await house.wait_for(before, JobState.RUNNING)
    await house.activate("two")
    await house.analyst.handle(after)
    assert house.loader.loaded == ["one", "two"]  # the old one is still at work
    go.touch()
    await work
    names = [(await house.job(job_id)).result.model.name for job_id in (before, after)]
    assert names == ["one", "two"]
    await until(house.loaded("two"))
    async with house.store.reading() as uow:
        ids = {model.name: model.id for model in await models.list_models(uow)}
        kept = {
            job_id: await uow.session.scalar(select(Job.model_id).where(Job.id == job_id)) for job_id in (before, after)
        }
    assert kept == {before: ids["one"], after: ids["two"]}


async def test_what_can_not_be_loaded_leaves_the_old_one_and_a_word(house, monkeypatch):
    house.loader.broken.add("two")
    await house.activate("two")
    assert house.serving.current.ref.name == "one"
    status, [worker] = await house.status()
    assert (status.ready, status.trouble) == (1, "two is broken")
    assert (worker.message, worker.model) == ("two is broken", "one/1")
    await house.follower.look()
    assert house.loader.tried == ["one", "two"]  # not every other second
    monkeypatch.setattr(following, "_TRY_AGAIN_AFTER_S", 0.0)
    await house.follower.look()
    house.loader.broken.clear()
    await house.follower.look()
    status, [worker] = await house.status()
    assert house.loader.tried == ["one", "two", "two", "two"]
    assert (status.trouble, worker.message, worker.model) == (None, None, "two/1")


async def test_after_a_rollback_the_trouble_is_over(house):
    house.loader.broken.add("two")
    await house.activate("two")
    async with house.store.writing() as uow:
        await models.roll_back(uow, COMMAND_LINE)
    await house.follower.look()
    status, [worker] = await house.status()
    assert (status.trouble, worker.model) == (None, "one/1")
    assert house.loader.tried == ["one", "two"]


async def test_a_model_that_was_imported_anew_is_loaded_anew(house):
    async with house.store.writing() as uow:
        new = NewModel(kind=JobKind.GENRE, name="one", version="1", sha256="other", starter=False, card={})
        await models.register_model(uow, new)
    await house.follower.look()
    assert house.loader.tried == ["one", "one"]
    assert house.serving.current.ref.sha256 == "other"


async def _compared(house) -> list[ShadowScore]:
    async with house.store.reading() as uow:
        return list(await uow.session.scalars(select(ShadowScore).order_by(ShadowScore.id)))


async def _wait_for_comparisons(house, count: int) -> list[ShadowScore]:
    async def enough() -> list[ShadowScore] | None:
        found = await _compared(house)
        return found if len(found) >= count else None

    return await until(enough)


@asynccontextmanager
async def at_work(shadow: Shadow):
    task = asyncio.create_task(shadow.work())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})


async def test_the_shadow_scores_what_was_answered_and_changes_nothing(house):
    await house.shadow_with("two")
    async with at_work(house.shadow):
        job_id = await house.submit(order("done"))
        await house.analyst.handle(job_id)
        [score] = await _wait_for_comparisons(house, 1)
    assert (score.job_id, score.main_genre, score.agrees) == (job_id, "symphony", False)
    assert score.probabilities == pytest.approx(OTHER_ROW, abs=1e-6)
    assert (await house.job(job_id)).result.model.name == "one"


async def test_the_shadow_waits_until_nothing_else_is_to_be_done(house, tmp_path):
    await house.shadow_with("two")
    go = tmp_path / "go"
    running, answered = [await house.submit(content) for content in (order("wait", go), order("done"))]
    work = asyncio.create_task(house.analyst.handle(running))
    await house.wait_for(running, JobState.RUNNING)
    async with at_work(house.shadow):
        await house.analyst.handle(answered)
        for _ in range(50):
            await asyncio.sleep(0)
        assert house.loader.analysers["two"].scored == 0
        go.touch()
        await work
        assert len(await _wait_for_comparisons(house, 2)) == 2


async def test_only_its_share_is_compared(house):
    await house.shadow_with("two", share=0.3)
    async with at_work(house.shadow):
        taken = []
        while len(taken) < 3:
            job_id = await house.submit(order("done"))
            await house.analyst.handle(job_id)
            if job_id.int % 10_000 < 3_000:
                taken.append(job_id)
                await _wait_for_comparisons(house, len(taken))
    assert [score.job_id for score in await _compared(house)] == taken


async def test_a_shadow_that_can_not_be_loaded_or_fails_harms_nobody(house):
    house.loader.broken.add("two")
    await house.shadow_with("two")
    await house.follower.look()
    assert house.loader.tried == ["one", "two"]
    await house.shadow_with("three")
    house.loader.analysers["three"].row = [1.0]  # not sixteen
    async with at_work(house.shadow):
        failing, fine = await house.submit(order("done")), await house.submit(order("done"))
        await house.analyst.handle(failing)
        await until(house.has_scored("three"))
        house.loader.analysers["three"].row = ROW
        await house.analyst.handle(fine)
        [score] = await _wait_for_comparisons(house, 1)
    assert score.job_id == fine
    assert (await house.job(failing)).state is JobState.DONE


async def test_a_shadow_that_is_switched_off_or_activated_leaves(house):
    await house.shadow_with("two")
    assert house.loader.loaded == ["one", "two"]
    async with house.store.writing() as uow:
        await shadows.stop_shadow(uow, COMMAND_LINE)
    await house.follower.look()
    assert house.loader.loaded == ["one"]
    await house.shadow_with("three")
    await house.activate("three")
    assert house.serving.current.ref.name == "three"
    await until(house.loaded("three"))


async def test_what_is_offered_beyond_the_backlog_is_passed_over(house):
    await house.shadow_with("two")
    job_id = await house.submit(order("done"))
    findings = []
    house.analyst.tell = lambda _, finding: findings.append(finding)
    await house.analyst.handle(job_id)
    for _ in range(100):
        house.shadow.offer(new_id(), findings[0])
    house.shadow.offer(job_id, replace(findings[0], pictures=None))
    assert house.shadow._backlog.full()
