"""Models are switched under load, and interactive jobs pass a full queue of bulk: real processes, no job lost."""

from __future__ import annotations

import asyncio

import pytest

from app.domain.jobs import AnalysisScope, EventType, JobKind, JobState
from app.services import models
from app.services.api_keys import COMMAND_LINE
from app.services.jobs import get_job
from app.services.models import NewModel
from app.services.workers import list_workers
from tests.support.factories import ADMIN
from tests.support.installation import CHORES, STAND_IN_WORKER, stopped
from tests.support.stand_in_worker import BROKEN, order

pytestmark = pytest.mark.timeout(120)


async def register(installation, *names: str) -> None:
    async with installation.parts.store.writing() as uow:
        for name in names:
            new = NewModel(kind=JobKind.GENRE, name=name, version="1", sha256="0" * 64, starter=False, card={})
            await models.register_model(uow, new)


async def activate(installation, name: str) -> None:
    async with installation.parts.store.writing() as uow:
        await models.activate_model(uow, name)


async def wait_for_workers(installation, count: int, *, model: str, message: str | None = None) -> None:
    """Nothing tells of a switch but the workers' rows, so this asks again and again."""
    async with asyncio.timeout(30):
        while True:
            async with installation.parts.store.reading() as uow:
                workers = await list_workers(uow)
            if [(worker.model, worker.message) for worker in workers] == [(f"{model}/1", message)] * count:
                return
            await asyncio.sleep(0.05)


async def test_models_are_switched_under_load_and_no_job_is_lost(installation, principal, tmp_path):
    await register(installation, "old", "new", BROKEN)
    await activate(installation, "old")
    go = tmp_path / "go"
    with installation.process(STAND_IN_WORKER) as one, installation.process(STAND_IN_WORKER) as two:
        await wait_for_workers(installation, 2, model="old")
        running = [await installation.submit(principal, order("wait", go)) for _ in range(4)]
        for job_id in running:
            await installation.wait_for(job_id, JobState.RUNNING)
        await activate(installation, "new")
        during = [await installation.submit(principal, order("done")) for _ in range(20)]
        await wait_for_workers(installation, 2, model="new")
        after = [await installation.submit(principal, order("done")) for _ in range(4)]
        go.touch()
        done = {job_id: await installation.wait_for(job_id, JobState.DONE) for job_id in running + during + after}
        await activate(installation, BROKEN)
        await wait_for_workers(installation, 2, model="new", message="the files are broken")
        with_broken = await installation.wait_for(await installation.submit(principal, order("done")), JobState.DONE)
        async with installation.parts.store.writing() as uow:
            await models.roll_back(uow, COMMAND_LINE)
        await wait_for_workers(installation, 2, model="new")
        for worker in (one, two):
            code, output = await stopped(worker)
            assert code == 0, output
            assert "Traceback" not in output
    assert {done[job_id].result.model.name for job_id in running} == {"old"}
    assert {done[job_id].result.model.name for job_id in after} == {"new"}
    assert with_broken.result.model.name == "new"
    for job_id, job in done.items():
        assert job.attempt == 1
        assert await installation.events(job_id, EventType.JOB_DONE) == 1


async def test_a_person_does_not_wait_behind_whole_recordings(installation, principal, tmp_path):
    """Sixteen whole recordings fill every place for bulk; an upload is done while they wait, by a lost ring too."""
    go = tmp_path / "go"
    with installation.process(STAND_IN_WORKER) as worker:
        bulk = [await installation.submit(principal, order("wait", go), AnalysisScope.FULL) for _ in range(20)]
        for job_id in bulk[:2]:
            await installation.wait_for(job_id, JobState.RUNNING)
        upload = await installation.submit(principal, order("done"))
        await installation.wait_for(upload, JobState.DONE)
        async with installation.parts.store.reading() as uow:
            states = [(await get_job(uow, ADMIN, job_id)).state for job_id in bulk]
        assert JobState.DONE not in states
        go.touch()
        for job_id in bulk:
            job = await installation.wait_for(job_id, JobState.DONE)
            assert len(job.result.windows) == len(order("wait", go))
        code, output = await stopped(worker)
    assert code == 0, output


async def test_a_whole_recording_is_given_back_at_a_stop_and_done_by_the_next(installation, principal, tmp_path):
    go = tmp_path / "go"
    with installation.process(CHORES):
        with installation.process(STAND_IN_WORKER, drain_s="0.2") as worker:
            job_id = await installation.submit(principal, order("wait", go), AnalysisScope.FULL)
            await installation.wait_for(job_id, JobState.RUNNING)
            code, output = await stopped(worker)
        assert code == 0, output
        assert (await installation.job(job_id)).state is JobState.QUEUED
        go.touch()
        with installation.process(STAND_IN_WORKER):
            assert (await installation.wait_for(job_id, JobState.DONE)).attempt == 2
