"""Queries on endpoints and deliveries."""

from __future__ import annotations

import uuid
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ColumnElement, Select, Table, and_, bindparam, exists, false, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.models import ApiKey, JobCallback, WebhookAttempt, WebhookDelivery, WebhookEndpoint
from app.domain.permissions import Permission, Principal
from app.domain.webhooks import DeliveryState, DisabledReason

_UNSYNCHRONISED = {"synchronize_session": False}


# --- endpoints


def _manageable(principal: Principal) -> ColumnElement[bool]:
    if principal.may(Permission.WEBHOOKS_MANAGE_ANY):
        return WebhookEndpoint.one_off.is_(False)
    return and_(WebhookEndpoint.one_off.is_(False), _owned_by(principal))


def _owned_by(principal: Principal) -> ColumnElement[bool]:
    """A person's are also those of their API keys."""
    if principal.user_id is not None:
        keys = select(ApiKey.id).where(ApiKey.user_id == principal.user_id)
        return or_(WebhookEndpoint.user_id == principal.user_id, WebhookEndpoint.api_key_id.in_(keys))
    key_id = principal.api_key_id
    return WebhookEndpoint.api_key_id == key_id if key_id is not None else false()


async def endpoints_of(session: AsyncSession, principal: Principal) -> Sequence[WebhookEndpoint]:
    query = select(WebhookEndpoint).where(_manageable(principal)).order_by(WebhookEndpoint.id.desc())
    return (await session.scalars(query)).all()


async def endpoint_of(session: AsyncSession, principal: Principal, endpoint_id: uuid.UUID) -> WebhookEndpoint | None:
    query = select(WebhookEndpoint).where(_manageable(principal), WebhookEndpoint.id == endpoint_id)
    return (await session.scalars(query)).one_or_none()


async def count_own(session: AsyncSession, principal: Principal) -> int:
    query = select(func.count()).select_from(WebhookEndpoint).where(_owned_by(principal), ~WebhookEndpoint.one_off)
    return await session.scalar(query) or 0


async def given_up(session: AsyncSession, principal: Principal) -> int:
    """How many of the caller's own endpoints were disabled by what they answered."""
    reasons = WebhookEndpoint.disabled_reason.in_((DisabledReason.GONE, DisabledReason.FAILING))
    query = select(func.count()).select_from(WebhookEndpoint)
    return await session.scalar(query.where(_owned_by(principal), reasons)) or 0


async def listening(session: AsyncSession) -> Sequence[WebhookEndpoint]:
    """The enabled endpoints, held until the transaction ends: none goes away before its deliveries are written."""
    enabled = (WebhookEndpoint.disabled_at.is_(None), WebhookEndpoint.one_off.is_(False))
    query = select(WebhookEndpoint).where(*enabled).order_by(WebhookEndpoint.id)
    return (await session.scalars(query.with_for_update(read=True, key_share=True, of=WebhookEndpoint))).all()


async def callbacks_of(session: AsyncSession, job_ids: Collection[uuid.UUID]) -> dict[uuid.UUID, JobCallback]:
    query = select(JobCallback).where(JobCallback.job_id.in_(job_ids)).with_for_update(read=True, key_share=True)
    return {callback.job_id: callback for callback in (await session.scalars(query)).all()}


# --- deliveries on their way


def _due(now: datetime) -> tuple[ColumnElement[bool], ...]:
    return (WebhookDelivery.state == DeliveryState.PENDING, WebhookDelivery.due_at <= now)


async def endpoints_with_due(session: AsyncSession, now: datetime) -> Sequence[WebhookEndpoint]:
    """Those that work come first."""
    waiting = exists().where(WebhookDelivery.endpoint_id == WebhookEndpoint.id, *_due(now))
    query = select(WebhookEndpoint).where(WebhookEndpoint.disabled_at.is_(None), waiting)
    query = query.order_by(WebhookEndpoint.failing_since.is_not(None), WebhookEndpoint.id)
    return (await session.scalars(query)).all()


async def due_ids(session: AsyncSession, endpoint_id: uuid.UUID, now: datetime, limit: int) -> list[uuid.UUID]:
    """Held until the transaction ends; those that another process is taking up at this moment are passed over."""
    query = select(WebhookDelivery.id).where(WebhookDelivery.endpoint_id == endpoint_id, *_due(now))
    query = query.order_by(WebhookDelivery.due_at).limit(limit).with_for_update(skip_locked=True)
    return list((await session.scalars(query)).all())


async def take(
    session: AsyncSession, delivery_ids: Sequence[uuid.UUID], now: datetime, due_again_at: datetime
) -> Sequence[WebhookDelivery]:
    """Count an attempt of those that are still due; of two who try, one gets each."""
    statement = (
        update(WebhookDelivery)
        .where(WebhookDelivery.id.in_(delivery_ids), *_due(now))
        .values(due_at=due_again_at, attempts=WebhookDelivery.attempts + 1)
        .returning(WebhookDelivery.id)
    )
    taken = (await session.scalars(statement, execution_options=_UNSYNCHRONISED)).all()
    query = select(WebhookDelivery).where(WebhookDelivery.id.in_(taken)).order_by(WebhookDelivery.due_at)
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def hold(session: AsyncSession, endpoint_ids: Collection[uuid.UUID]) -> Sequence[WebhookEndpoint]:
    """Endpoints that have not been deleted, locked in one order and before their deliveries, as their deletion does it."""
    query = select(WebhookEndpoint).where(WebhookEndpoint.id.in_(endpoint_ids)).order_by(WebhookEndpoint.id)
    query = query.with_for_update(key_share=True, of=WebhookEndpoint)
    return (await session.scalars(query.execution_options(populate_existing=True))).all()


async def still_there(session: AsyncSession, delivery_ids: Collection[uuid.UUID]) -> set[uuid.UUID]:
    """Those whose endpoint has not been deleted meanwhile; they stay until the transaction ends."""
    query = select(WebhookDelivery.id).where(WebhookDelivery.id.in_(delivery_ids)).order_by(WebhookDelivery.id)
    return set((await session.scalars(query.with_for_update(read=True, key_share=True))).all())


async def move_on(session: AsyncSession, changes: Sequence[dict[str, Any]]) -> None:
    """Write what became of attempts: ``key``, ``number``, ``state``, ``due_at``, ``finished_at``. A later attempt, or an
    end that came first, is not overwritten."""
    table = cast("Table", WebhookDelivery.__table__)
    statement = (
        update(table)
        .where(
            table.c.id == bindparam("key"),
            table.c.attempts == bindparam("number"),
            table.c.state == DeliveryState.PENDING,
        )
        .values(state=bindparam("to_state"), due_at=bindparam("to_due_at"), finished_at=bindparam("to_finished_at"))
    )
    connection = await session.connection()
    await connection.execute(statement, changes)


# --- the log


def log_of(endpoint_id: uuid.UUID) -> Select[WebhookDelivery]:
    return select(WebhookDelivery).where(WebhookDelivery.endpoint_id == endpoint_id)


async def attempts_of(session: AsyncSession, delivery_id: uuid.UUID) -> Sequence[WebhookAttempt]:
    query = select(WebhookAttempt).where(WebhookAttempt.delivery_id == delivery_id)
    return (await session.scalars(query.order_by(WebhookAttempt.number.desc()))).all()
