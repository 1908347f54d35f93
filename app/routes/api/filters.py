"""Which jobs a caller means: the query parameters that lists and reports share."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Annotated

from litestar.di import NamedDependency
from litestar.params import QueryParameter

from app.domain.genres import Tier
from app.domain.jobs import JobState
from app.errors import CursorInvalid
from app.routes.job_options import invalid
from app.services.jobs import JobFilter


def cursor_of(text: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(text) if text else None
    except ValueError:
        raise CursorInvalid from None


def storable(text: str | None) -> str | None:
    """PostgreSQL knows no NUL, so no name contains one either."""
    return text.replace("\0", "") if text else None


def moment_of(text: str | None, name: str) -> datetime | None:
    """As a text: where a time is expected, a number would be taken for seconds since 1970."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):  # a first day of year 1 that is still the last day before it in UTC
        raise invalid("Expected a time (RFC 3339)", name, "query") from None


async def provide_job_filter(  # noqa: PLR0913, PLR0917  each is a query parameter
    job_state: Annotated[JobState | None, QueryParameter(name="state", description="Only jobs in this state")] = None,
    genre: Annotated[str | None, QueryParameter(description="Only jobs with this first genre", max_length=64)] = None,
    tier: Annotated[Tier | None, QueryParameter(description="Only results of this certainty")] = None,
    text: Annotated[
        str | None,
        QueryParameter(description="Words of the file name, title or artist, or how they begin", max_length=200),
    ] = None,
    batch_id: Annotated[uuid.UUID | None, QueryParameter(description="Only jobs of this batch")] = None,
    review: Annotated[bool | None, QueryParameter(description="Only jobs that (don't) wait for a review")] = None,
    created_after: Annotated[
        str | None, QueryParameter(format="date-time", description="Created then or later; UTC if no zone is given")
    ] = None,
    created_before: Annotated[
        str | None, QueryParameter(format="date-time", description="Created before this time")
    ] = None,
) -> JobFilter:
    return JobFilter(
        state=job_state,
        genre=storable(genre),
        tier=tier,
        text=storable(text),
        batch_id=batch_id,
        needs_review=review,
        created_after=moment_of(created_after, "created_after"),
        created_before=moment_of(created_before, "created_before"),
    )


Wanted = NamedDependency[JobFilter]
