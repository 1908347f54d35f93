"""The models this installation knows, and which of them is active."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from app.db.models import Model
from app.db.uow import UnitOfWork
from app.domain.jobs import JobKind
from app.domain.views import ModelOut
from app.errors import ModelNotFound


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """What a bundle's card says of itself."""

    kind: JobKind
    name: str
    version: str
    sha256: str
    starter: bool
    card: dict[str, Any]


def _model_out(model: Model) -> ModelOut:
    return ModelOut(
        id=model.id,
        kind=model.kind,
        name=model.name,
        version=model.version,
        sha256=model.sha256,
        starter=model.starter,
        active=model.active,
        created_at=model.created_at,
        card=model.card,
    )


async def _find(uow: UnitOfWork, name: str, version: str | None) -> Model:
    """The model of this name; of several versions the one registered last."""
    query = select(Model).where(Model.name == name).order_by(Model.created_at.desc()).limit(1)
    if version is not None:
        query = query.where(Model.version == version)
    model = (await uow.session.scalars(query)).one_or_none()
    if model is None:
        raise ModelNotFound(name=f"{name}/{version}" if version else name)
    return model


async def register_model(uow: UnitOfWork, new: NewModel) -> ModelOut:
    """Write the model down, or renew what is written if it is known already."""
    query = select(Model).where(Model.name == new.name, Model.version == new.version)
    model = (await uow.session.scalars(query)).one_or_none()
    if model is None:
        model = Model(name=new.name, version=new.version)
        uow.session.add(model)
    model.kind, model.sha256, model.starter, model.card = new.kind, new.sha256, new.starter, new.card
    await uow.session.flush()  # the view needs the defaults
    return _model_out(model)


async def activate_model(uow: UnitOfWork, name: str, version: str | None = None) -> ModelOut:
    """Make this the model of its kind that workers load at their next start."""
    model = await _find(uow, name, version)
    await uow.session.execute(update(Model).where(Model.kind == model.kind).values(active=False))
    model.active = True
    await uow.session.flush()
    return _model_out(model)


async def list_models(uow: UnitOfWork) -> list[ModelOut]:
    models = await uow.session.scalars(select(Model).order_by(Model.name, Model.created_at))
    return [_model_out(model) for model in models]


async def active_model(uow: UnitOfWork, kind: JobKind = JobKind.GENRE) -> ModelOut | None:
    model = (await uow.session.scalars(select(Model).where(Model.kind == kind, Model.active))).one_or_none()
    return _model_out(model) if model else None
