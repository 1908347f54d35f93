"""Examples for the description of the API. They are built of the real types, so they can't come apart from them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from app.domain.batches import (
    BatchDetailOut,
    BatchOut,
    BatchPage,
    BatchProgress,
    BatchState,
    FailureCount,
    GenreCount,
    TierCount,
)
from app.domain.failures import FailureCode
from app.domain.genres import GENRES, Tier
from app.domain.jobs import AnalysisScope, JobKind, JobState
from app.domain.media import Container
from app.domain.results import ModelRef, Timings, Window, genre_result
from app.domain.views import AssetOut, JobOut, JobPage

# Multiples of 1/64 add up without rounding.
_SHARES = [49 / 64 if genre.id == "soft_rock" else 1 / 64 for genre in GENRES]

_ASSET = AssetOut(
    id=uuid.UUID("01a1fc6c-2945-7326-962c-e95d8f90fc74"),
    name="morning.flac",
    size_bytes=18_245_120,
    sha256="b9673cc57624588053611ff15ddd2487b1c0e1f52f4c3c8f7a5d3f2e9b6a4c10",
    container=Container.FLAC,
    duration_s=214.3,
    sample_rate_hz=44_100,
    channels=2,
    title="Morning",
    artist="The Larks",
    kept=True,
)
JOB = JobOut(
    id=uuid.UUID("01a1fc6c-294c-70ab-895a-f266f834db3e"),
    kind=JobKind.GENRE,
    scope=AnalysisScope.START,
    batch_id=None,
    state=JobState.DONE,
    progress=None,
    attempt=1,
    created_at=datetime(2026, 3, 2, 9, 30, 0, tzinfo=UTC),
    started_at=datetime(2026, 3, 2, 9, 30, 0, 120_000, tzinfo=UTC),
    finished_at=datetime(2026, 3, 2, 9, 30, 0, 640_000, tzinfo=UTC),
    metadata={"catalogue_number": "EM-1204"},
    deduplicated=False,
    submitted_by="catalogue importer",
    asset=_ASSET,
    result=genre_result(
        [Window(0.0, 11.4, _SHARES), Window(11.4, 22.8, _SHARES)],
        analysed_seconds=30.0,
        audible=True,
        timings_ms=Timings(queued=118, fetch=4, decode=96, features=61, forward=212, total=637),
        model=ModelRef(name="ccmusic-vgg19bn", version="1", sha256="5" * 64, starter=False),
    ),
    review=None,
    label=None,
    error=None,
)


BATCH = BatchOut(
    id=uuid.UUID("01a1fc6c-30aa-7b91-8f0e-0d9d3d6d7f21"),
    name="Spring catalogue",
    private=False,
    state=BatchState.RUNNING,
    submitted_by="catalogue importer",
    created_at=datetime(2026, 3, 2, 9, 28, 0, tzinfo=UTC),
    closed_at=datetime(2026, 3, 2, 9, 31, 0, tzinfo=UTC),
    finished_at=None,
    progress=BatchProgress(
        total=1000, queued=594, running=6, done=396, failed=4, cancelled=0, rate_per_minute=120.0, remaining_s=300.0
    ),
)
BATCH_DETAIL = BatchDetailOut(
    **msgspec.structs.asdict(BATCH),
    genres=[GenreCount("soft_rock", 250), GenreCount("symphony", 146)],
    tiers=[TierCount(Tier.HIGH, 300), TierCount(Tier.MEDIUM, 70), TierCount(Tier.LOW, 26)],
    failures=[FailureCount(FailureCode.AUDIO_CORRUPT, "The audio is damaged", 4, retryable=False)],
    to_review=41,
)


def answer_of(value: msgspec.Struct, description: str) -> dict[int, ResponseSpec]:
    """A successful answer with an example."""
    example: Any = msgspec.to_builtins(value)
    spec = ResponseSpec(
        type(value),
        generate_examples=False,
        description=description,
        examples=[Example(summary="An answer", value=example)],
    )
    return {200: spec}


JOB_ANSWER = answer_of(JOB, "The job")
BATCH_ANSWER = answer_of(BATCH_DETAIL, "The batch")
BATCH_PAGE_ANSWER = answer_of(BatchPage(items=[BATCH], next_cursor=str(BATCH.id)), "A page of batches")
PAGE_ANSWER = answer_of(JobPage(items=[JOB], next_cursor=str(JOB.id)), "A page of jobs")
