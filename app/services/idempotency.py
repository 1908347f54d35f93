"""Requests that may be repeated: the answer is kept in the transaction that creates the thing, and given again.

Both stand or fall together, so there is no state in between: of any number of equal requests at the same time one creates,
and the others wait in the database for its transaction and then get its answer. A request that failed has left nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.exc import IntegrityError

from app.db.models import IdempotentAnswer
from app.db.uow import UnitOfWork
from app.domain.ids import utc_now
from app.domain.permissions import Principal
from app.errors import IdempotencyKeyReused

LIFETIME = timedelta(hours=24)
_PENDING = 0


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What was answered: ``body`` is JSON."""

    status: int
    body: str
    location: str | None


def _row(principal: Principal, key: str) -> tuple[ColumnElement[bool], ...]:
    return (IdempotentAnswer.caller == principal.ident, IdempotentAnswer.key == key)


async def earlier_answer(uow: UnitOfWork, principal: Principal, key: str, fingerprint: str) -> KeptAnswer | None:
    """The answer that this key was given before; None: whoever asks is the first and keeps its own by ``keep_answer``.

    Raises:
        IdempotencyKeyReused: the key came with another request.
    """
    too_old = IdempotentAnswer.created_at < utc_now() - LIFETIME
    await uow.session.execute(delete(IdempotentAnswer).where(*_row(principal, key), too_old))
    try:
        async with uow.session.begin_nested():
            uow.session.add(
                IdempotentAnswer(
                    caller=principal.ident, key=key, fingerprint=fingerprint, status=_PENDING, body="", location=None
                )
            )
    except IntegrityError:
        return await _read(uow, principal, key, fingerprint)
    return None


async def _read(uow: UnitOfWork, principal: Principal, key: str, fingerprint: str) -> KeptAnswer:
    kept = (await uow.session.scalars(select(IdempotentAnswer).where(*_row(principal, key)))).one()
    if kept.fingerprint != fingerprint:
        raise IdempotencyKeyReused
    return KeptAnswer(kept.status, kept.body, kept.location)


async def keep_answer(uow: UnitOfWork, principal: Principal, key: str, answer: KeptAnswer) -> None:
    statement = update(IdempotentAnswer).where(*_row(principal, key))
    await uow.session.execute(
        statement.values(status=answer.status, body=answer.body, location=answer.location),
        execution_options={"synchronize_session": False},
    )


async def forget_old_answers(uow: UnitOfWork) -> None:
    await uow.session.execute(delete(IdempotentAnswer).where(IdempotentAnswer.created_at < utc_now() - LIFETIME))
