"""A model in the shadow: it scores a share of the traffic for comparison, its answers are kept apart and nobody waits for them."""

from __future__ import annotations

import uuid
from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy import ColumnElement, func, select, update

from app.db.models import Job, Model, ShadowScore
from app.db.uow import UnitOfWork
from app.domain.genres import GENRES
from app.domain.jobs import JobKind
from app.domain.permissions import Principal
from app.domain.views import ModelOut, ShadowGenreOut, ShadowReportOut
from app.errors import ShadowIsActive
from app.services import audit
from app.services.models import active_model, model_by_id, model_out


async def start_shadow(uow: UnitOfWork, principal: Principal, model_id: uuid.UUID, share: float) -> ModelOut:
    """Have this model score that share of the jobs (0 to 1) from now on, in place of any other in the shadow.

    Raises:
        ModelNotFound: there is no such model.
        ShadowIsActive: it is the active one.
    """
    model = await model_by_id(uow, model_id)
    if model.active:
        raise ShadowIsActive
    await _clear(uow, model.kind)
    model.shadow_share = share
    await uow.session.flush()
    details = {"model": f"{model.name}/{model.version}", "share": share}
    audit.record(uow, principal, "model.shadow", target_type="model", target_id=model.id, details=details)
    return model_out(model)


async def stop_shadow(uow: UnitOfWork, principal: Principal, kind: JobKind = JobKind.GENRE) -> None:
    """No model is in the shadow any more; what has been compared stays."""
    model = await _shadow(uow, kind)
    if model is not None:
        await _clear(uow, kind)
        audit.record(uow, principal, "model.shadow_off", target_type="model", target_id=model.id)


async def _clear(uow: UnitOfWork, kind: JobKind) -> None:
    await uow.session.execute(update(Model).where(Model.kind == kind).values(shadow_share=None))


async def shadow_model(uow: UnitOfWork, kind: JobKind = JobKind.GENRE) -> ModelOut | None:
    model = await _shadow(uow, kind)
    return model_out(model) if model else None


async def _shadow(uow: UnitOfWork, kind: JobKind) -> Model | None:
    query = select(Model).where(Model.kind == kind, Model.shadow_share.is_not(None))
    return (await uow.session.scalars(query)).one_or_none()


async def record_shadow(
    uow: UnitOfWork,
    job_id: uuid.UUID,
    *,
    model_id: uuid.UUID,
    main_model_id: uuid.UUID,
    probabilities: Sequence[float],
    main_probabilities: Sequence[float],
) -> None:
    """Keep what both models said to a job, sixteen probabilities each in the order of GENRES; a job deleted meanwhile is passed over."""
    known = select(ShadowScore.id).where(ShadowScore.job_id == job_id, ShadowScore.model_id == model_id)
    models = select(func.count()).where(Model.id.in_((model_id, main_model_id)))
    if (
        await uow.session.scalar(select(Job.id).where(Job.id == job_id)) is None
        or await uow.session.scalar(models) != 2
        or await uow.session.scalar(known) is not None
    ):
        return
    genre, main_genre = _first(probabilities), _first(main_probabilities)
    differences = (abs(one - other) for one, other in zip(probabilities, main_probabilities, strict=True))
    score = ShadowScore(
        job_id=job_id,
        model_id=model_id,
        main_model_id=main_model_id,
        genre=genre,
        main_genre=main_genre,
        agrees=genre == main_genre,
        difference=sum(differences) / len(GENRES),
        probabilities=list(probabilities),
    )
    uow.session.add(score)


def _first(probabilities: Sequence[float]) -> str:
    return GENRES[max(range(len(GENRES)), key=probabilities.__getitem__)].id


async def shadow_report(uow: UnitOfWork, model_id: uuid.UUID | None = None) -> ShadowReportOut | None:
    """The model in the shadow (or that one) against the active one; None if nothing is in the shadow, or nothing active."""
    active = await active_model(uow)
    model = await shadow_model(uow) if model_id is None else model_out(await model_by_id(uow, model_id))
    if active is None or model is None:
        return None
    pair = (ShadowScore.model_id == model.id, ShadowScore.main_model_id == active.id)
    counted = select(func.count(), func.avg(ShadowScore.difference), func.min(ShadowScore.created_at)).where(*pair)
    jobs, difference, since = (await uow.session.execute(counted)).one()
    genres = await _by_genre(uow, *pair)
    return ShadowReportOut(
        model=model,
        active=active,
        jobs=jobs,
        agreement=sum(genre.agreement * genre.jobs for genre in genres) / jobs if jobs else None,
        mean_difference=difference,
        since=since,
        genres=genres,
    )


async def _by_genre(uow: UnitOfWork, *pair: ColumnElement[bool]) -> list[ShadowGenreOut]:
    """By the active model's genre, most frequent first."""
    columns = (ShadowScore.main_genre, ShadowScore.genre)
    query = select(*columns, func.count(), func.sum(ShadowScore.difference)).where(*pair).group_by(*columns)
    said: dict[str, dict[str, tuple[int, float]]] = defaultdict(dict)
    for main_genre, genre, jobs, difference in await uow.session.execute(query):
        said[main_genre][genre] = (jobs, difference)
    genres = [_genre_out(main_genre, answers) for main_genre, answers in said.items()]
    return sorted(genres, key=lambda genre: (-genre.jobs, genre.genre))


def _genre_out(genre: str, answers: dict[str, tuple[int, float]]) -> ShadowGenreOut:
    """``answers``: by the other model's genre how many jobs, and the sum of their differences."""
    jobs = sum(count for count, _ in answers.values())
    others = {other: count for other, (count, _) in answers.items() if other != genre}
    return ShadowGenreOut(
        genre=genre,
        jobs=jobs,
        agreement=answers.get(genre, (0, 0.0))[0] / jobs,
        mean_difference=sum(difference for _, difference in answers.values()) / jobs,
        most_often_instead=max(others, key=lambda other: (others[other], other)) if others else None,
    )
