"""Models over the API: which there are, which answers, and which is compared with it."""

from __future__ import annotations

import uuid
from typing import Annotated

import msgspec
from litestar import delete, get, post, put
from litestar.params import FromPath, JSONBody
from msgspec import Meta

from app.domain.permissions import Permission
from app.domain.views import ModelOut, QueueOut, ShadowReportOut, WorkerOut
from app.errors import NoShadow
from app.routes.deps import Caller, ReadUow, Uow
from app.routes.guards import needs
from app.routes.openapi import problems
from app.services import models, queue, shadows, workers

_TAGS = ["models"]
_READ = needs(Permission.MODELS_READ)
_MANAGE = needs(Permission.MODELS_MANAGE)

ModelId = FromPath[uuid.UUID]


class ShadowWish(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How much a model in the shadow shall see."""

    share: Annotated[float, Meta(gt=0, le=1, description="Share of the jobs that it scores too", examples=[0.1])]


@get("/models", opt=_READ, operation_id="listModels", summary="List the models", tags=_TAGS, responses=problems())
async def list_models(read_uow: ReadUow) -> list[ModelOut]:
    """The models that this installation knows; one of each kind is active."""
    return await models.list_models(read_uow)


@get(
    "/models/{model_id:uuid}",
    opt=_READ,
    operation_id="getModel",
    summary="Get a model",
    tags=_TAGS,
    responses=problems(404),
)
async def get_model(read_uow: ReadUow, model_id: ModelId) -> ModelOut:
    """A model with its card: what it was made from, how well it did, what it is not good at."""
    return await models.get_model(read_uow, model_id)


@post(
    "/models/{model_id:uuid}/activate",
    opt=_MANAGE,
    status_code=200,
    operation_id="activateModel",
    summary="Activate a model",
    tags=_TAGS,
    responses=problems(404),
)
async def activate_model(uow: Uow, caller: Caller, model_id: ModelId) -> ModelOut:
    """Running workers go over to it within seconds and finish what they are at with the old one. One that can't load it keeps
    the old one and says so in `GET /api/v1/workers`. Doing it twice changes nothing."""
    return await models.activate_model_by_id(uow, caller, model_id)


@post(
    "/models/rollback",
    opt=_MANAGE,
    status_code=200,
    operation_id="rollBackModel",
    summary="Go back to the model before",
    tags=_TAGS,
    responses=problems(409),
)
async def roll_back(uow: Uow, caller: Caller) -> ModelOut:
    """Activate the model again that was active before; done twice it goes back two steps."""
    return await models.roll_back(uow, caller)


@get(
    "/models/shadow",
    opt=_READ,
    operation_id="getShadowReport",
    summary="Compare the model in the shadow",
    tags=_TAGS,
    responses=problems(404),
)
async def get_shadow_report(read_uow: ReadUow) -> ShadowReportOut:
    """How often the model in the shadow says the same as the active one, over the jobs that both have scored."""
    report = await shadows.shadow_report(read_uow)
    if report is None:
        raise NoShadow
    return report


@put(
    "/models/{model_id:uuid}/shadow",
    opt=_MANAGE,
    operation_id="startShadow",
    summary="Put a model into the shadow",
    tags=_TAGS,
    responses=problems(400, 404, 409),
)
async def start_shadow(uow: Uow, caller: Caller, model_id: ModelId, data: JSONBody[ShadowWish]) -> ModelOut:
    """From now on it scores that share of the uploads too, when workers have nothing else to do. Its answers are kept apart
    and change no result. It takes the place of any other model in the shadow."""
    return await shadows.start_shadow(uow, caller, model_id, data.share)


@delete(
    "/models/shadow",
    opt=_MANAGE,
    operation_id="stopShadow",
    summary="Put no model into the shadow",
    tags=_TAGS,
    responses=problems(),
)
async def stop_shadow(uow: Uow, caller: Caller) -> None:
    """What has been compared is kept."""
    await shadows.stop_shadow(uow, caller)


@get(
    "/workers",
    opt=needs(Permission.ADMINISTRATION_READ),
    operation_id="listWorkers",
    summary="List the workers",
    tags=_TAGS,
    responses=problems(),
)
async def list_workers(read_uow: ReadUow) -> list[WorkerOut]:
    """The workers heard of within the last half minute, the model each of them runs, and what hinders it."""
    return await workers.list_workers(read_uow)


@get(
    "/queue",
    opt=needs(Permission.JOBS_READ),
    operation_id="getQueue",
    summary="See how long jobs wait",
    tags=_TAGS,
    responses=problems(),
)
async def get_queue(read_uow: ReadUow) -> QueueOut:
    """How many jobs wait for a worker, and how long the first of them has. What was accepted is never given up for waiting."""
    return await queue.queue_state(read_uow)


HANDLERS = [
    list_models,
    get_model,
    activate_model,
    roll_back,
    get_shadow_report,
    start_shadow,
    stop_shadow,
    list_workers,
    get_queue,
]
