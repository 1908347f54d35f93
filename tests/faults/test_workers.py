"""What happens to jobs when workers stop, die or meet a job that kills them: real processes, real signals."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal

import pytest

from app.domain.failures import FailureCode
from app.domain.jobs import EventType, JobState
from app.domain.keys import audio_key
from app.integrations.queue import open_redis
from app.services.jobs import cancel_job
from tests.support.installation import CHORES, STAND_IN_WORKER, ended, stopped
from tests.support.stand_in_worker import order
from tests.support.waiting import wait_until_gone

pytestmark = pytest.mark.timeout(120)


async def test_a_job_runs_and_the_worker_ends_cleanly(installation, principal):
    with installation.process(STAND_IN_WORKER) as worker:
        job_id = await installation.submit(principal, order("done"))
        job = await installation.wait_for(job_id, JobState.DONE)
        code, output = await stopped(worker)
    assert job.result is not None
    assert job.result.model.name == "stand-in"
    assert sum(score.probability for score in job.result.probabilities) == pytest.approx(1)
    assert job.result.timings_ms.total >= job.result.timings_ms.queued + job.result.timings_ms.fetch
    assert await installation.parts.files.read(f"spectrograms/{job_id}.png") == b"png"
    assert code == 0, output
    assert "Traceback" not in output


async def test_a_job_of_a_killed_worker_is_done_once_by_the_next(installation, principal, tmp_path):
    go = tmp_path / "go"
    with installation.process(CHORES):
        with installation.process(STAND_IN_WORKER) as worker:
            job_id = await installation.submit(principal, order("wait", go))
            await installation.wait_for(job_id, JobState.RUNNING)
            worker.kill()
            await ended(worker)
        go.touch()
        with installation.process(STAND_IN_WORKER):
            job = await installation.wait_for(job_id, JobState.DONE, timeout_s=60)
    assert job.attempt == 2
    assert await installation.events(job_id, EventType.JOB_DONE) == 1


async def test_two_workers_never_run_one_job(installation, principal, tmp_path):
    paths = [tmp_path / f"job{number}" for number in range(12)]
    for path in paths:
        path.touch()
    with installation.process(STAND_IN_WORKER), installation.process(STAND_IN_WORKER), installation.process(CHORES):
        jobs = [await installation.submit(principal, order("wait", path)) for path in paths]
        for job_id in jobs:
            await installation.wait_for(job_id, JobState.DONE)
    for path in paths:
        assert len(path.with_suffix(".log").read_text().splitlines()) == 1


async def test_a_cancelled_job_is_dropped_and_the_worker_goes_on(installation, principal, tmp_path):
    with installation.process(STAND_IN_WORKER) as worker:
        cancelled = await installation.submit(principal, order("wait", tmp_path / "never"))
        await installation.wait_for(cancelled, JobState.RUNNING)
        async with installation.parts.store.writing() as uow:
            await cancel_job(uow, principal, cancelled)
        following = await installation.submit(principal, order("done"))
        await installation.wait_for(following, JobState.DONE)
        # The worker ends within its drain time of 30 s only because it has dropped the job.
        code, output = await stopped(worker)
    assert code == 0, output
    assert (await installation.job(cancelled)).state is JobState.CANCELLED
    assert await installation.events(cancelled, EventType.JOB_DONE) == 0


async def test_at_sigterm_running_jobs_are_finished_and_no_new_ones_begun(installation, principal, tmp_path):
    go = tmp_path / "go"
    with installation.process(STAND_IN_WORKER) as worker:
        running = await installation.submit(principal, order("wait", go))
        await installation.wait_for(running, JobState.RUNNING)
        worker.send_signal(signal.SIGTERM)
        await asyncio.to_thread(_read_until, worker.stdout, "no new jobs")
        waiting = await installation.submit(principal, order("done"))
        go.touch()
        await installation.wait_for(running, JobState.DONE)
        assert await ended(worker) == 0
    assert (await installation.job(waiting)).state is JobState.QUEUED


async def test_what_is_not_finished_in_time_is_given_back(installation, principal, tmp_path):
    go = tmp_path / "go"
    with installation.process(STAND_IN_WORKER, drain_s="0.2") as worker:
        job_id = await installation.submit(principal, order("wait", go))
        await installation.wait_for(job_id, JobState.RUNNING)
        code, output = await stopped(worker)
    assert code == 0, output
    assert (await installation.job(job_id)).state is JobState.QUEUED
    go.touch()
    with installation.process(STAND_IN_WORKER):
        assert (await installation.wait_for(job_id, JobState.DONE)).attempt == 2


async def test_a_job_that_kills_its_worker_fails_after_three_times_and_takes_none_with_it(
    installation, principal, tmp_path
):
    go = tmp_path / "go"
    poison = await installation.submit(principal, order("kill"))
    neighbours = [await installation.submit(principal, order("wait", go)) for _ in range(2)]
    with installation.process(CHORES):
        stop = asyncio.create_task(_keep_starting_workers(installation))
        job = await installation.wait_for(poison, JobState.FAILED, timeout_s=90)
        go.touch()
        for neighbour in neighbours:
            await installation.wait_for(neighbour, JobState.DONE)
        stop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stop
    assert job.error is not None
    assert (job.error.code, job.error.params) == (FailureCode.WORKER_LOST, {"attempts": 3})
    assert await installation.events(poison, EventType.JOB_FAILED) == 1


async def test_a_job_that_hangs_ends_its_worker_and_fails_after_three_times(installation, principal, tmp_path):
    installation.environment["EARMARK_JOB_LIMIT_S"] = "2"
    stuck = await installation.submit(principal, order("wait", tmp_path / "never"))
    fine = [await installation.submit(principal, order("done")) for _ in range(3)]
    with installation.process(CHORES):
        stop = asyncio.create_task(_keep_starting_workers(installation))
        job = await installation.wait_for(stuck, JobState.FAILED, timeout_s=90)
        for job_id in fine:
            await installation.wait_for(job_id, JobState.DONE)
        stop.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await stop
    assert job.error is not None
    assert job.error.code is FailureCode.WORKER_LOST


async def test_faults_fail_one_job_alone(installation, principal):
    ended_states = (JobState.DONE, JobState.FAILED)
    boom, corrupt, gone, fine = [
        await installation.submit(principal, order(do)) for do in ("boom", "corrupt", "done", "done")
    ]
    asset = (await installation.job(gone)).asset
    await installation.parts.files.delete(audio_key(asset.id))
    with installation.process(STAND_IN_WORKER) as worker:
        jobs = [await installation.wait_for(job_id, *ended_states) for job_id in (boom, corrupt, gone)]
        assert (await installation.wait_for(fine, *ended_states)).state is JobState.DONE
        _, output = await stopped(worker)
    errors = [job.error for job in jobs if job.error]
    assert [error.code for error in errors] == [FailureCode.INTERNAL, FailureCode.AUDIO_CORRUPT, FailureCode.FILE_GONE]
    assert [job.asset.kept for job in jobs] == [True, False, False]
    (line,) = [line for line in output.splitlines() if "analysis failed unexpectedly" in line]
    logged = json.loads(line)
    assert (logged["error_id"], logged["job_id"]) == (errors[0].params["error_id"], str(boom))
    assert (logged["exception"][0]["exc_type"], logged["exception"][0]["exc_value"]) == ("RuntimeError", "boom")


async def test_every_accepted_job_is_done_though_valkey_is_killed(installation, principal, tmp_path):
    go = tmp_path / "go"
    with installation.process(STAND_IN_WORKER), installation.process(CHORES):
        before = [await installation.submit(principal, order("wait", go)) for _ in range(3)]
        for job_id in before:
            await installation.wait_for(job_id, JobState.RUNNING)
        os.kill(installation.valkey.pid, signal.SIGKILL)
        await asyncio.to_thread(wait_until_gone, installation.valkey.pid)
        while_away = [await installation.submit(principal, order("done")) for _ in range(3)]
        go.touch()
        for job_id in before:
            await installation.wait_for(job_id, JobState.DONE)
        installation.valkey.start()
        after = [await installation.submit(principal, order("done")) for _ in range(3)]
        for job_id in while_away + after:
            await installation.wait_for(job_id, JobState.DONE, timeout_s=60)
        for job_id in before + while_away + after:
            assert await installation.events(job_id, EventType.JOB_DONE) == 1


async def test_a_valkey_that_lost_its_memory_is_rung_again(installation, principal):
    job_id = await installation.submit(principal, order("done"))
    async with open_redis(installation.valkey.url) as redis:
        await redis.flushall()
    with installation.process(STAND_IN_WORKER), installation.process(CHORES):
        await installation.wait_for(job_id, JobState.DONE)


def _read_until(stream, text: str) -> None:
    for line in stream:
        if text in line:
            return
    raise AssertionError(f"{text!r} did not come")


async def _keep_starting_workers(installation) -> None:
    while True:
        with installation.process(STAND_IN_WORKER) as worker:
            await ended(worker, timeout_s=120)
