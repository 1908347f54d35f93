"""The models this installation knows, and which of them is active.

Running workers look at what is active every other second and go over to it; activating is all there is to be done.
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import select, update

from app.db.models import Model, ModelActivation
from app.db.uow import UnitOfWork
from app.domain.ids import utc_now
from app.domain.jobs import JobKind
from app.domain.permissions import Principal
from app.domain.views import ModelOut
from app.errors import ModelNotFound, NothingToRollBack
from app.services import audit
from app.services.api_keys import COMMAND_LINE


@dataclass(frozen=True, slots=True, kw_only=True)
class NewModel:
    """What a bundle's card says of itself."""

    kind: JobKind
    name: str
    version: str
    sha256: str
    starter: bool
    card: dict[str, Any]


def model_out(model: Model) -> ModelOut:
    return ModelOut(
        id=model.id,
        kind=model.kind,
        name=model.name,
        version=model.version,
        sha256=model.sha256,
        starter=model.starter,
        active=model.active,
        shadow_share=model.shadow_share,
        created_at=model.created_at,
        card=model.card,
    )


async def find_model(uow: UnitOfWork, name: str, version: str | None = None) -> Model:
    """The model of this name; of several versions the one registered last."""
    query = select(Model).where(Model.name == name).order_by(Model.created_at.desc()).limit(1)
    if version is not None:
        query = query.where(Model.version == version)
    model = (await uow.session.scalars(query)).one_or_none()
    if model is None:
        raise ModelNotFound(name=f"{name}/{version}" if version else name)
    return model


async def model_by_id(uow: UnitOfWork, model_id: uuid.UUID) -> Model:
    model = await uow.session.get(Model, model_id)
    if model is None:
        raise ModelNotFound(name=str(model_id))
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
    return model_out(model)


async def activate_model(
    uow: UnitOfWork, name: str, version: str | None = None, *, principal: Principal = COMMAND_LINE
) -> ModelOut:
    """Make this the model of its kind that all workers go over to."""
    return await _activate(uow, principal, await find_model(uow, name, version))


async def activate_model_by_id(uow: UnitOfWork, principal: Principal, model_id: uuid.UUID) -> ModelOut:
    return await _activate(uow, principal, await model_by_id(uow, model_id))


async def roll_back(uow: UnitOfWork, principal: Principal, kind: JobKind = JobKind.GENRE) -> ModelOut:
    """Make the model active again that was so before. Done twice, it goes back two steps.

    Raises:
        NothingToRollBack: no other model was active before.
    """
    activations = await _activations(uow, kind)
    current = next((model for _, model in activations if model.active), None)
    before = next((model for _, model in activations if not model.active), None)
    if current is None or before is None:
        raise NothingToRollBack
    for activation, model in activations:
        if model is before:
            break
        activation.withdrawn_at = utc_now()
    await _make_active(uow, before)
    _note(uow, principal, "model.roll_back", before, before=current)
    return model_out(before)


async def _activations(uow: UnitOfWork, kind: JobKind) -> list[tuple[ModelActivation, Model]]:
    """Those that have not been withdrawn, newest first."""
    query = (
        select(ModelActivation, Model)
        .join(Model, Model.id == ModelActivation.model_id)
        .where(Model.kind == kind, ModelActivation.withdrawn_at.is_(None))
        .order_by(ModelActivation.id.desc())
    )
    return [(activation, model) for activation, model in await uow.session.execute(query)]


async def _activate(uow: UnitOfWork, principal: Principal, model: Model) -> ModelOut:
    current = await _active(uow, model.kind)
    if current is not model:
        await _make_active(uow, model)
        uow.session.add(ModelActivation(model_id=model.id))
        _note(uow, principal, "model.activate", model, before=current)
    return model_out(model)


async def _make_active(uow: UnitOfWork, model: Model) -> None:
    await uow.session.execute(update(Model).where(Model.kind == model.kind).values(active=False))
    model.active = True
    model.shadow_share = None  # it would only be compared with itself
    await uow.session.flush()


def _note(uow: UnitOfWork, principal: Principal, action: str, model: Model, *, before: Model | None) -> None:
    details = {"model": _name(model), "before": _name(before) if before else None}
    audit.record(uow, principal, action, target_type="model", target_id=model.id, details=details)


def _name(model: Model) -> str:
    return f"{model.name}/{model.version}"


async def list_models(uow: UnitOfWork) -> list[ModelOut]:
    models = await uow.session.scalars(select(Model).order_by(Model.name, Model.created_at))
    return [model_out(model) for model in models]


async def get_model(uow: UnitOfWork, model_id: uuid.UUID) -> ModelOut:
    return model_out(await model_by_id(uow, model_id))


async def active_model(uow: UnitOfWork, kind: JobKind = JobKind.GENRE) -> ModelOut | None:
    model = await _active(uow, kind)
    return model_out(model) if model else None


async def _active(uow: UnitOfWork, kind: JobKind) -> Model | None:
    return (await uow.session.scalars(select(Model).where(Model.kind == kind, Model.active))).one_or_none()
