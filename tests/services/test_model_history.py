"""Activating, rolling back, and comparing a model in the shadow, on SQLite and on PostgreSQL."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from app.db.models import AuditEntry, ShadowScore
from app.db.uow import Store
from app.domain.genres import GENRE_IDS
from app.domain.ids import new_id
from app.domain.jobs import JobKind
from app.domain.permissions import Role
from app.errors import ModelNotFound, NothingToRollBack, ShadowIsActive
from app.services import models, shadows
from app.services.jobs import delete_job
from app.services.models import NewModel
from tests.support.factories import make_job, make_principal, make_probabilities


@pytest.fixture
async def admin(store: Store):
    return await make_principal(store, Role.ADMIN, name="Ada")


@pytest.fixture
async def ids(store: Store):
    """Three models, by name."""
    async with store.writing() as uow:
        news = [
            NewModel(kind=JobKind.GENRE, name=name, version="1", sha256="f" * 64, starter=False, card={})
            for name in ("one", "two", "three")
        ]
        return {new.name: (await models.register_model(uow, new)).id for new in news}


async def activate(store, admin, model_id) -> None:
    async with store.writing() as uow:
        await models.activate_model_by_id(uow, admin, model_id)


async def rolled_back(store, admin) -> str:
    async with store.writing() as uow:
        return (await models.roll_back(uow, admin)).name


async def test_rolling_back_goes_a_step_further_back_each_time(store, admin, ids):
    for name in ("one", "two", "two", "three"):
        await activate(store, admin, ids[name])
    assert [await rolled_back(store, admin) for _ in range(2)] == ["two", "one"]
    with pytest.raises(NothingToRollBack):
        await rolled_back(store, admin)
    await activate(store, admin, ids["three"])
    assert await rolled_back(store, admin) == "one"
    async with store.reading() as uow:
        assert [model.name for model in await models.list_models(uow) if model.active] == ["one"]


async def test_without_a_model_there_is_nothing_to_roll_back(store, admin):
    with pytest.raises(NothingToRollBack):
        await rolled_back(store, admin)


async def test_who_did_it_is_in_the_audit_log(store, admin, ids):
    await activate(store, admin, ids["one"])
    await activate(store, admin, ids["two"])
    await rolled_back(store, admin)
    async with store.writing() as uow:
        await shadows.start_shadow(uow, admin, ids["two"], 0.5)
        await shadows.stop_shadow(uow, admin)
        await shadows.stop_shadow(uow, admin)
    async with store.reading() as uow:
        query = select(AuditEntry).where(AuditEntry.target_type == "model").order_by(AuditEntry.id)
        entries = (await uow.session.scalars(query)).all()
    assert [(entry.action, entry.actor) for entry in entries] == [
        (action, "Ada")
        for action in ("model.activate", "model.activate", "model.roll_back", "model.shadow", "model.shadow_off")
    ]
    assert entries[2].details == {"model": "one/1", "before": "two/1"}
    assert entries[3].details == {"model": "two/1", "share": 0.5}


async def test_one_model_at_most_is_in_the_shadow_and_never_the_active_one(store, admin, ids):
    await activate(store, admin, ids["one"])
    async with store.writing() as uow:
        await shadows.start_shadow(uow, admin, ids["two"], 0.5)
        await shadows.start_shadow(uow, admin, ids["three"], 0.1)
    async with store.reading() as uow:
        shares = {model.name: model.shadow_share for model in await models.list_models(uow)}
    assert shares == {"one": None, "two": None, "three": 0.1}
    async with store.writing() as uow:
        with pytest.raises(ShadowIsActive):
            await shadows.start_shadow(uow, admin, ids["one"], 0.1)
        with pytest.raises(ModelNotFound):
            await shadows.start_shadow(uow, admin, new_id(), 0.1)
    await activate(store, admin, ids["three"])
    async with store.reading() as uow:
        assert await shadows.shadow_model(uow) is None
        assert await shadows.shadow_report(uow) is None


async def score(store, job_id, ids, *, main: str, other: str, certain: float = 0.9) -> None:
    async with store.writing() as uow:
        await shadows.record_shadow(
            uow,
            job_id,
            model_id=ids["two"],
            main_model_id=ids["one"],
            probabilities=make_probabilities(other, certain),
            main_probabilities=make_probabilities(main),
        )


async def test_the_report_counts_by_what_the_active_model_says(store, admin, ids):
    await activate(store, admin, ids["one"])
    async with store.writing() as uow:
        await shadows.start_shadow(uow, admin, ids["two"], 1)
    jobs = [await make_job(store, admin) for _ in range(5)]
    said = [("symphony", "symphony"), ("symphony", "opera"), ("symphony", "opera"), ("solo", "solo"), ("solo", "solo")]
    for job, (main, other) in zip(jobs, said, strict=True):
        await score(store, job.id, ids, main=main, other=other)
    await score(store, jobs[0].id, ids, main="solo", other="solo")  # one job counts once
    await score(store, new_id(), ids, main="solo", other="solo")  # deleted meanwhile
    await score(store, jobs[0].id, {**ids, "two": new_id()}, main="solo", other="solo")
    async with store.reading() as uow:
        report = await shadows.shadow_report(uow)
        again = await shadows.shadow_report(uow, ids["two"])
        nothing = await shadows.shadow_report(uow, ids["three"])
    assert report == again
    assert report is not None
    assert (report.model.name, report.active.name, report.jobs, report.agreement) == ("two", "one", 5, 0.6)
    assert [(genre.genre, genre.jobs, genre.most_often_instead) for genre in report.genres] == [
        ("symphony", 3, "opera"),
        ("solo", 2, None),
    ]
    assert [genre.agreement for genre in report.genres] == pytest.approx([1 / 3, 1])
    apart = (2 * (0.9 - 0.1 / 15)) / 16
    assert [genre.mean_difference for genre in report.genres] == pytest.approx([apart * 2 / 3, 0])
    assert report.mean_difference == pytest.approx(apart * 2 / 5)
    assert report.since is not None
    assert nothing is not None
    assert (nothing.jobs, nothing.agreement, nothing.mean_difference, nothing.genres) == (0, None, None, [])


async def test_comparisons_go_with_their_job(store, admin, ids):
    await activate(store, admin, ids["one"])
    job = await make_job(store, admin)
    await score(store, job.id, ids, main="solo", other=GENRE_IDS[0])
    async with store.writing() as uow:
        await delete_job(uow, admin, job.id)
    async with store.reading() as uow:
        assert (await uow.session.scalars(select(ShadowScore))).all() == []
