"""Keys of programs, over the API: for people, not for keys."""

from __future__ import annotations

import uuid

from litestar import Response, delete, get, post
from litestar.params import FromPath, JSONBody

from app.domain.api_keys import ApiKeyCreated, ApiKeyOut, NewApiKey
from app.domain.permissions import Permission
from app.routes.api.examples import API_KEY_CREATED, API_KEYS_ANSWER, answer_of
from app.routes.deps import Caller, Parts, ReadUow, Uow
from app.routes.guards import needs
from app.routes.idempotency import Created, Idempotency
from app.routes.openapi import problems
from app.services import api_keys

_TAGS = ["api-keys"]
_MANAGE = needs(Permission.API_KEYS_MANAGE)


@post(
    "/api-keys",
    opt=_MANAGE,
    status_code=201,
    operation_id="createApiKey",
    summary="Create an API key",
    tags=_TAGS,
    responses={**answer_of(API_KEY_CREATED, "The key, this once", status=201), **problems(400, 409, 422)},
)
async def create_api_key(
    uow: Uow, parts: Parts, caller: Caller, once: Idempotency, *, data: JSONBody[NewApiKey]
) -> Response[ApiKeyCreated]:
    """For a program of yours: it can do no more than you, nor than its scopes. Only people can ask for one, signed in or
    with a token of the identity provider; a key can't. A repeated request (`Idempotency-Key`) is answered without the
    secrets: they are shown once."""

    async def create() -> Created[ApiKeyCreated]:
        made = await api_keys.create_own_api_key(uow, caller, data, most=parts.config.api_keys_per_user)
        return Created(
            content=ApiKeyCreated(api_key=made.view, key=made.key, webhook_secret=made.webhook_secret),
            repeated=ApiKeyCreated(api_key=made.view, key=None, webhook_secret=None),
        )

    return await once.answer(uow, create)


@get(
    "/api-keys",
    opt=needs(Permission.API_KEYS_READ),
    operation_id="listApiKeys",
    summary="List API keys",
    tags=_TAGS,
    responses={**API_KEYS_ANSWER, **problems()},
)
async def list_api_keys(read_uow: ReadUow, caller: Caller) -> list[ApiKeyOut]:
    """Yours; an admin sees all."""
    return await api_keys.list_api_keys(read_uow, caller)


@delete(
    "/api-keys/{key_id:uuid}",
    opt=_MANAGE,
    operation_id="revokeApiKey",
    summary="Revoke an API key",
    tags=_TAGS,
    responses=problems(404),
)
async def revoke_api_key(uow: Uow, caller: Caller, key_id: FromPath[uuid.UUID]) -> None:
    """It is worthless from now on. What it has submitted stays."""
    await api_keys.revoke_api_key_by_id(uow, caller, key_id)


HANDLERS = [create_api_key, list_api_keys, revoke_api_key]
