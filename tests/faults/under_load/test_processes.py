"""Processes are killed or stand still, again and again, while two hundred uploads come in."""

from __future__ import annotations

import asyncio
import os
import signal

import pytest
from sqlalchemy import select

from app.db.models import Job
from app.domain.failures import FailureCode
from app.domain.jobs import JobState
from tests.support.families import children_of, family_of
from tests.support.processes import free_port
from tests.support.waiting import wait_until, wait_until_gone

pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]

UPLOADS = 200


async def test_a_worker_is_killed_every_two_seconds_for_a_minute(busy):
    """Jobs that meet it three times fail and say so; all others are done."""
    busy.load.begin(UPLOADS, per_s=4)
    second = busy.service.spawn("worker")
    for number in range(30):
        await asyncio.sleep(2)  # the rhythm is the fault
        victim = second.pid if number % 2 else busy.service.find("earmark worker", wait=False)
        if victim:
            os.kill(victim, signal.SIGKILL)
        if second.poll() is not None or number % 2:
            second.wait()
            second = busy.service.spawn("worker")
    states = await busy.ended([FailureCode.WORKER_LOST])
    second.terminate()
    second.wait()
    await busy.assert_nothing_lost([FailureCode.WORKER_LOST])
    assert states[JobState.DONE] > UPLOADS / 2


@pytest.mark.parametrize("words", ["earmark chores", "earmark web"])
async def test_a_process_is_killed_five_times(busy, words):
    busy.load.begin(UPLOADS)
    for number in range(5):
        await busy.load.until_accepted(20 + 30 * number)
        await busy.service.kill(words)
    assert await busy.assert_nothing_lost() == {JobState.DONE: UPLOADS}


async def test_the_process_that_answers_requests_is_killed_and_not_the_one_above_it(busy):
    """granian starts another one, which is quicker than a new `earmark web`; if one dies at once it gives that up."""
    busy.load.begin(UPLOADS)
    for number in range(5):
        await busy.load.until_accepted(20 + 30 * number)
        server = await asyncio.to_thread(busy.service.find, "earmark web")
        [worker] = await asyncio.to_thread(wait_until, lambda server=server: children_of(server), "nobody answers")
        os.kill(worker, signal.SIGKILL)
        await asyncio.to_thread(wait_until_gone, worker)
        await busy.service.until_ready()
    assert await busy.assert_nothing_lost() == {JobState.DONE: UPLOADS}


async def test_the_supervisor_is_killed_and_started_again(busy):
    busy.load.begin(UPLOADS)
    for number in range(3):
        await busy.load.until_accepted(20 + 50 * number)
        family = family_of(busy.service.run.pid)
        busy.service.run.kill()
        busy.service.run.wait()
        for pid in family:
            await asyncio.to_thread(wait_until_gone, pid)
        await busy.service.start()
    assert await busy.assert_nothing_lost() == {JobState.DONE: UPLOADS}


async def test_two_sweepers_while_workers_die(busy):
    busy.load.begin(UPLOADS)
    with busy.service.beside("chores"), busy.service.beside("chores"):
        for number in range(3):
            await busy.load.until_accepted(20 + 50 * number)
            await busy.service.kill("earmark worker")
        await busy.ended()
    assert await busy.assert_nothing_lost() == {JobState.DONE: UPLOADS}


async def test_a_worker_stands_still_and_comes_back(busy):
    """Its jobs are done by another one meanwhile; what it has to say later is not taken."""
    with busy.service.beside("worker") as frozen:
        await busy.until_workers(2)
        busy.load.begin(UPLOADS)
        for number in range(3):
            await busy.load.until_accepted(40 + 50 * number)
            frozen.send_signal(signal.SIGSTOP)
            await asyncio.sleep(4)  # twice the lease
            frozen.send_signal(signal.SIGCONT)
        await busy.ended()
    assert await busy.assert_nothing_lost() == {JobState.DONE: UPLOADS}


async def test_web_processes_and_workers_are_replaced_one_after_the_other(busy):
    """A rolling restart: two web processes and a second worker are asked to end and started again, three times. No request
    fails, no job is done twice, and nobody needs longer than the time that running jobs are given."""
    ports = [free_port(), free_port()]
    webs = [busy.service.spawn("web", port=str(port)) for port in ports]
    workers = [busy.service.spawn("worker", drain_s="20")]
    for port in ports:
        await busy.service.until_ready(port=port)
    await busy.until_workers(2)
    busy.load.go_to([f"http://127.0.0.1:{port}" for port in ports], kept_alive=False)
    busy.load.begin(UPLOADS, per_s=8)
    for _ in range(3):
        for place, port in enumerate(ports):
            await _end(webs[place])
            webs[place] = busy.service.spawn("web", port=str(port))
            await busy.service.until_ready(port=port)
        await _end(workers.pop())
        workers.append(busy.service.spawn("worker", drain_s="20"))
        await busy.until_workers(2)
    await busy.ended()
    for process in (*webs, *workers):
        await _end(process)
    assert await busy.assert_nothing_lost() == {JobState.DONE: UPLOADS}
    assert busy.load.answers.keys() <= {202, "closed"}
    async with busy.parts.store.reading() as uow:
        assert set(await uow.session.scalars(select(Job.attempt))) == {1}


async def _end(process) -> None:
    process.terminate()
    assert await asyncio.to_thread(process.wait, 25) == 0
