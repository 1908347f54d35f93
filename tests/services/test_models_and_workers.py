"""Which model is active, and whether anybody is there to work, on SQLite and on PostgreSQL."""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from app.db.models import Worker
from app.db.uow import Store
from app.domain.ids import new_id, utc_now
from app.domain.jobs import JobKind
from app.domain.workers import WorkerState
from app.errors import ModelNotFound
from app.services import models, workers
from app.services.models import NewModel
from app.services.workers import WorkersStatus


def _model(name: str, version: str) -> NewModel:
    return NewModel(
        kind=JobKind.GENRE, name=name, version=version, sha256="f" * 64, starter=name == "starter", card={"a": 1}
    )


async def test_one_model_is_active(store: Store):
    async with store.writing() as uow:
        assert await models.active_model(uow) is None
        for name, version in (("starter", "1"), ("ccmusic", "1"), ("ccmusic", "2")):
            await models.register_model(uow, _model(name, version))
    for name, version, expected in (("starter", None, "1"), ("ccmusic", "1", "1"), ("ccmusic", None, "2")):
        async with store.writing() as uow:
            await models.activate_model(uow, name, version)
        async with store.reading() as uow:
            active = await models.active_model(uow)
            assert active is not None
            assert (active.name, active.version) == (name, expected)
            assert [model.active for model in await models.list_models(uow)].count(True) == 1


async def test_registering_twice_changes_nothing(store: Store):
    for _ in range(2):
        async with store.writing() as uow:
            await models.register_model(uow, _model("starter", "1"))
    async with store.reading() as uow:
        assert len(await models.list_models(uow)) == 1


async def test_an_unknown_model_is_named(store: Store):
    with pytest.raises(ModelNotFound, match="nothing/2"):
        async with store.writing() as uow:
            await models.activate_model(uow, "nothing", "2")


async def _status(store: Store) -> WorkersStatus:
    async with store.reading() as uow:
        return await workers.workers_status(uow)


async def test_a_failed_worker_says_why_until_another_is_ready(store: Store):
    assert await _status(store) == WorkersStatus(0, 0, None)
    broken, healthy = new_id(), new_id()
    async with store.writing() as uow:
        await workers.report_worker(uow, broken, WorkerState.FAILED, message="model.safetensors is damaged")
    assert await _status(store) == WorkersStatus(0, 0, "model.safetensors is damaged")
    async with store.writing() as uow:
        await workers.report_worker(uow, healthy, WorkerState.STARTING)
        await workers.report_worker(uow, healthy, WorkerState.READY)
    assert await _status(store) == WorkersStatus(1, 0, None)
    async with store.reading() as uow:
        assert await workers.is_worker_ready(uow, socket.gethostname())
        assert not await workers.is_worker_ready(uow, "elsewhere")
    async with store.writing() as uow:
        await workers.remove_worker(uow, healthy)
    assert (await _status(store)).ready == 0


async def test_a_silent_worker_counts_as_gone_and_is_forgotten(store: Store):
    async with store.writing() as uow:
        await workers.report_worker(uow, new_id(), WorkerState.READY)
    async with store.writing() as uow:
        await uow.session.execute(update(Worker).values(seen_at=utc_now() - timedelta(minutes=1)))
    assert (await _status(store)).ready == 0
    async with store.writing() as uow:
        await uow.session.execute(update(Worker).values(seen_at=utc_now() - timedelta(days=2)))
        await workers.forget_old_workers(uow)
    async with store.reading() as uow:
        assert (await uow.session.scalars(select(Worker))).all() == []
