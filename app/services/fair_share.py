"""Whose turn it is: in each lane of the queue, people and programs take turns, however many jobs each has waiting.

This is start-time fair queueing (Goyal, Vin and Cheng, 1996), with jobs of equal weight. Each job is given a turn when it is
queued: one after its owner's last one that waits, but not before the first turn that anybody waits for. The lowest turn goes
first, of equal ones the older job. So the ten jobs of one owner come after ten of the 5,000 that another queued before, and
nobody is ever overtaken for good. It costs two looks into an index for a new job, and one for each that is taken.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import update

from app.db.models import Job
from app.db.repositories import queue as repository
from app.db.repositories.batches import Requeued
from app.db.repositories.queue import Owner
from app.db.uow import UnitOfWork
from app.domain.jobs import Lane


async def line_up(uow: UnitOfWork, job: Job) -> None:
    """Give a job that is ready to be analysed its turn."""
    lane = Lane.of(job.scope, job.batch_id)
    job.lane, job.turn = lane, await _next_turn(uow, lane, (job.user_id, job.api_key_id))


async def line_up_again(uow: UnitOfWork, jobs: Sequence[Requeued]) -> None:
    """The same for many at once, in their order."""
    turns: dict[tuple[Lane, Owner], int] = {}
    rows = []
    for job in jobs:
        lane, owner = Lane.of(job.scope, job.batch_id), (job.user_id, job.api_key_id)
        if (lane, owner) not in turns:
            turns[lane, owner] = await _next_turn(uow, lane, owner)
        rows.append({"id": job.id, "lane": lane, "turn": turns[lane, owner]})
        turns[lane, owner] += 1
    if rows:
        await uow.session.execute(update(Job), rows)


async def _next_turn(uow: UnitOfWork, lane: Lane, owner: Owner) -> int:
    first, own = await repository.turns(uow.session, lane, owner)
    return max(first or 0, 0 if own is None else own + 1)
