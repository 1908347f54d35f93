"""Examples for the description of the API. They are built of the real types, so they can't come apart from them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import msgspec
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import Example

from app.domain.administration import AuditEntryOut, AuditPage
from app.domain.api_keys import ApiKeyCreated, ApiKeyOut
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
from app.domain.permissions import Permission, Role
from app.domain.results import ModelRef, Timings, Window, genre_result
from app.domain.submissions import UploadOut, UploadPart, UploadState
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


OPEN_UPLOAD = UploadOut(
    id=uuid.UUID("01a1fc6c-4d11-7c56-8d7a-51f3f6f8a0b3"),
    state=UploadState.OPEN,
    name="concert.wav",
    size_bytes=12_000_000,
    parts=[
        UploadPart(number=1, size_bytes=8_388_608, url="https://files.example/parts/1?signature=5f3a"),
        UploadPart(number=2, size_bytes=3_611_392, url="https://files.example/parts/2?signature=c81d"),
    ],
    sha256=None,
    container=None,
    created_at=datetime(2026, 3, 2, 9, 29, 0, tzinfo=UTC),
    expires_at=datetime(2026, 3, 3, 9, 29, 0, tzinfo=UTC),
)
COMPLETE_UPLOAD = msgspec.structs.replace(
    OPEN_UPLOAD, state=UploadState.COMPLETE, parts=[], sha256="a4" * 32, container=Container.WAV
)
_API_KEY = ApiKeyOut(
    id=uuid.UUID("01a1fc6c-5a0e-7f21-9c44-0b8e7d1f2a63"),
    name="catalogue importer",
    prefix="emk_Zt3f9A",
    role=Role.UPLOADER,
    scopes=[Permission.JOBS_READ, Permission.JOBS_CREATE],
    owner="Una Uhl",
    created_at=datetime(2026, 3, 2, 9, 0, 0, tzinfo=UTC),
    expires_at=datetime(2027, 3, 2, 9, 0, 0, tzinfo=UTC),
    last_used_at=None,
    revoked_at=None,
)
API_KEY_CREATED = ApiKeyCreated(api_key=_API_KEY, key="emk_Zt3f9A…", webhook_secret="whsec_…")  # noqa: S106  none

AUDIT_PAGE = AuditPage(
    items=[
        AuditEntryOut(
            id=uuid.UUID("01a1fc6c-6b02-7d1c-8a55-2f40c1d9e7b8"),
            action="preferences.change",
            actor="Ada Admin",
            user_id=uuid.UUID("01a1fc6c-1a2b-7c3d-8e4f-5a6b7c8d9e0f"),
            api_key_id=None,
            target_type="preference",
            target_id="review_threshold",
            details={"from": 0.6, "to": 0.7},
            created_at=datetime(2026, 3, 2, 10, 0, 0, tzinfo=UTC),
        )
    ],
    next_cursor=None,
)


def answer_of(value: msgspec.Struct, description: str, *, status: int = 200) -> dict[int, ResponseSpec]:
    """A successful answer with an example."""
    return {status: _spec(type(value), msgspec.to_builtins(value), description)}


def _spec(content: Any, example: Any, description: str) -> ResponseSpec:
    examples = [Example(summary="An answer", value=example)]
    return ResponseSpec(content, generate_examples=False, description=description, examples=examples)


API_KEYS_ANSWER = {200: _spec(list[ApiKeyOut], [msgspec.to_builtins(_API_KEY)], "The keys")}
_QUEUED = msgspec.structs.replace(JOB, state=JobState.QUEUED, attempt=0, started_at=None, finished_at=None, result=None)
SUBMITTED_ANSWERS = {
    **answer_of(JOB, "It has ended already"),
    **answer_of(_QUEUED, "It waits for a worker", status=202),
}


assert JOB.result is not None
_LISTED = msgspec.structs.replace(JOB, result=msgspec.structs.replace(JOB.result, windows=[]))
JOB_ANSWER = answer_of(JOB, "The job")
BATCH_ANSWER = answer_of(BATCH_DETAIL, "The batch")
BATCH_PAGE_ANSWER = answer_of(BatchPage(items=[BATCH], next_cursor=str(BATCH.id)), "A page of batches")
PAGE_ANSWER = answer_of(JobPage(items=[_LISTED], next_cursor=str(JOB.id)), "A page of jobs")
