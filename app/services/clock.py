"""What a clock that is set back does to moments in the database: they lie in the future, and nothing is due until then."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete, update

from app.db.models import Job, Source, WebhookDelivery, Worker
from app.db.uow import UnitOfWork
from app.domain.ids import utc_now
from app.domain.jobs import JobState
from app.domain.webhooks import DeliveryState

# No lease is longer (EARMARK_LEASE_S), and a living worker renews its own four times as often.
_LONGEST_LEASE = timedelta(seconds=600)
_TIME_TO_RENEW = _LONGEST_LEASE / 2
# Clocks of several machines differ by so much.
_TOLERANCE = timedelta(minutes=1)
_LONG_AGO = timedelta(hours=1)


async def forget_the_future(uow: UnitOfWork) -> None:
    """Call it after the clock was set back: what has waited for a moment that is gone waits no longer. Safe to repeat.

    Leases of dead workers end in some minutes, lost rings are rung again, first deliveries and fetches are due at once; a
    worker that lives says so again. Later attempts keep their moments: they come no earlier than planned.
    """
    now = utc_now()
    await _end_leases(uow, now)
    for statement in (
        update(Job).where(Job.state == JobState.QUEUED, Job.rung_at > now).values(rung_at=now - _LONG_AGO),
        update(Source).where(Source.attempt == 0, Source.due_at > now).values(due_at=now),
        update(WebhookDelivery)
        .where(
            WebhookDelivery.state == DeliveryState.PENDING, WebhookDelivery.attempts == 0, WebhookDelivery.due_at > now
        )
        .values(due_at=now),
        delete(Worker).where(Worker.seen_at > now + _TOLERANCE),
    ):
        await uow.session.execute(statement, execution_options={"synchronize_session": False})


async def _end_leases(uow: UnitOfWork, now: datetime) -> None:
    impossible = (Job.state == JobState.RUNNING, Job.lease_until > now + 2 * _LONGEST_LEASE)
    statement = update(Job).where(*impossible).values(lease_until=now + _TIME_TO_RENEW)
    await uow.session.execute(statement, execution_options={"synchronize_session": False})
