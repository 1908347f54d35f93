"""What all tables share: naming, UTC times, enumerations as text."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, DateTime, Dialect, Enum, MetaData, TypeDecorator, Uuid
from sqlalchemy.orm import DeclarativeBase

from app.domain.genres import Tier
from app.domain.jobs import AnalysisScope, EventType, JobKind, JobState, Lane, ReviewReason
from app.domain.media import Container
from app.domain.permissions import Role
from app.domain.reviews import ReviewState
from app.domain.webhooks import DeliveryState, DisabledReason
from app.domain.workers import WorkerState


class UtcDateTime(TypeDecorator[datetime]):
    """An aware time in UTC on every database; SQLite itself would forget the zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("only aware times are stored")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def _enum(values: type[Any], length: int = 32) -> Enum:
    """Stored as text without a CHECK, so that a new value needs no migration and an old program can still read the row."""
    return Enum(
        values,
        native_enum=False,
        create_constraint=False,
        length=length,
        values_callable=lambda members: [member.value for member in members],
    )


class Base(DeclarativeBase):
    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012  SQLAlchemy's own declaration
        datetime: UtcDateTime(),
        uuid.UUID: Uuid(),
        dict[str, Any]: JSON(),
        AnalysisScope: _enum(AnalysisScope),
        JobState: _enum(JobState),
        JobKind: _enum(JobKind),
        Lane: _enum(Lane),
        Tier: _enum(Tier),
        ReviewReason: _enum(ReviewReason),
        ReviewState: _enum(ReviewState),
        EventType: _enum(EventType),
        Container: _enum(Container),
        Role: _enum(Role),
        WorkerState: _enum(WorkerState),
        DeliveryState: _enum(DeliveryState),
        DisabledReason: _enum(DisabledReason),
    }
