"""A library of a few recordings, on each kind of server."""

from __future__ import annotations

import uuid

import pytest

from app.db.uow import Store
from app.domain.jobs import JobKind
from app.domain.permissions import Principal, Role
from tests.support.factories import finish_job, make_job, make_principal, make_result, make_upload, submit_job


@pytest.fixture
async def una(store: Store) -> Principal:
    return await make_principal(store, Role.REVIEWER)


@pytest.fixture
async def recordings(store: Store, una: Principal) -> dict[str, uuid.UUID]:
    """Rock that is certain, opera that is not, and one that waits."""
    jobs = {
        name: (await make_job(store, una, f"{name}.mp3")).id for name in ("2019_gala_rock", "夏日歌剧", "waiting room")
    }
    await finish_job(store, jobs["2019_gala_rock"], make_result("soft_rock", 0.9))
    await finish_job(store, jobs["夏日歌剧"], make_result("opera", 0.4))
    return jobs


async def submit_to(store: Store, principal: Principal, batch_id: uuid.UUID, name: str = "in batch.mp3") -> uuid.UUID:
    async with store.writing() as uow:
        return (await submit_job(uow, principal, make_upload(name), JobKind.GENRE, batch_id=batch_id)).id
