"""What callers get to see of the tables: the API sends these Structs as they are, the portal renders them."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.domain.jobs import AnalysisScope, JobKind, JobState, ReviewReason
from app.domain.media import Container
from app.domain.results import GenreResult
from app.domain.workers import WorkerState


class AssetOut(msgspec.Struct, frozen=True, kw_only=True):
    """A recording. What is in it is known once it is here, what its header says once it has been decoded."""

    id: uuid.UUID
    name: Annotated[str, Meta(description="File name as uploaded, without folders", examples=["track.mp3"])]
    size_bytes: Annotated[int | None, Meta(description="Size of the file in bytes; null until it has been fetched")]
    sha256: Annotated[str | None, Meta(description="Hash of the file's content; null until it has been fetched")]
    container: Annotated[Container | None, Meta(description="Kind of file; null until it has been fetched")]
    duration_s: Annotated[float | None, Meta(description="Length of the whole recording in seconds")]
    sample_rate_hz: int | None
    channels: int | None
    title: Annotated[str | None, Meta(description="Title tag of the file")]
    artist: Annotated[str | None, Meta(description="Artist tag of the file")]
    kept: Annotated[bool, Meta(description="False once the audio has been deleted or could not be used")]


class FailureOut(msgspec.Struct, frozen=True, kw_only=True):
    """Why a job failed, in the shape of a problem (RFC 9457)."""

    type: Annotated[
        str, Meta(description="Stable address of the kind of failure", examples=["/docs/errors#audio_corrupt"])
    ]
    code: Annotated[str, Meta(description="Stable code of the kind of failure", examples=["audio_corrupt"])]
    title: str
    detail: str
    params: Annotated[dict[str, str | float], Meta(description="The values in the detail")]
    retryable: Annotated[bool, Meta(description="True if trying again may help")]


class JobOut(msgspec.Struct, frozen=True, kw_only=True):
    """One analysis of one uploaded file."""

    id: uuid.UUID
    kind: JobKind
    scope: AnalysisScope
    batch_id: Annotated[uuid.UUID | None, Meta(description="The batch that it was submitted in")]
    state: JobState
    progress: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="How far the analysis of a whole recording has got, from 0 to 1"),
    ]
    attempt: Annotated[int, Meta(description="How often a worker has taken the job up")]
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    metadata: Annotated[dict[str, Any], Meta(description="The submitter's own words about the job, as they were given")]
    deduplicated: Annotated[
        bool, Meta(description="True: the same audio was analysed before by the same model, and this is that result")
    ]
    submitted_by: Annotated[str | None, Meta(description="Name of the person or API key")]
    asset: AssetOut
    result: Annotated[GenreResult | None, Meta(description="Present once the state is done")]
    review: Annotated[ReviewReason | None, Meta(description="Why a person should look at the result, if so")]
    label: Annotated[str | None, Meta(description="The genre that people have decided on")]
    error: Annotated[FailureOut | None, Meta(description="Present if the state is failed")]


class JobPage(msgspec.Struct, frozen=True, kw_only=True):
    """A page of a list, newest first."""

    items: list[JobOut]
    next_cursor: Annotated[str | None, Meta(description="Give it as `cursor` to get the next page; null on the last")]


class ModelOut(msgspec.Struct, frozen=True, kw_only=True):
    """A model known to this installation."""

    id: uuid.UUID
    kind: JobKind
    name: str
    version: str
    sha256: str
    starter: Annotated[bool, Meta(description="True: the built-in demonstration model")]
    active: bool
    shadow_share: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(description="Share of the jobs that this model scores beside the active one, without being heard"),
    ]
    created_at: datetime
    card: Annotated[dict[str, object], Meta(description="The model's card: labels, preprocessing, source, metrics")]


class ShadowGenreOut(msgspec.Struct, frozen=True, kw_only=True):
    """How often two models agree where the active one says this genre."""

    genre: str
    jobs: int
    agreement: Annotated[float, Meta(ge=0, le=1, description="Share of jobs with the same first genre")]
    mean_difference: Annotated[float, Meta(description="Mean absolute difference of the sixteen probabilities")]
    most_often_instead: Annotated[str | None, Meta(description="What the other model says most often if not this")]


class ShadowReportOut(msgspec.Struct, frozen=True, kw_only=True):
    """How a model in the shadow compares with the active one, over the jobs that both have scored."""

    model: ModelOut
    active: ModelOut
    jobs: int
    agreement: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None, Meta(description="Share of jobs with the same first genre")
    ]
    mean_difference: Annotated[float | None, Meta(description="Mean absolute difference of the sixteen probabilities")]
    since: Annotated[datetime | None, Meta(description="The first of these jobs")]
    genres: Annotated[list[ShadowGenreOut], Meta(description="By the active model's first genre, most frequent first")]


class WorkerOut(msgspec.Struct, frozen=True, kw_only=True):
    """A worker process that has been heard of lately."""

    id: uuid.UUID
    host: str
    pid: int
    state: WorkerState
    message: Annotated[str | None, Meta(description="What hinders it, if anything")]
    model: Annotated[str | None, Meta(description="Name and version of the model it runs")]
    started_at: datetime
    seen_at: datetime


class LineOut(msgspec.Struct, frozen=True, kw_only=True):
    """Jobs that wait for a worker."""

    jobs: int
    longest_wait_s: Annotated[
        Annotated[float, Meta(ge=0)] | None, Meta(description="How long the first of them has waited, in seconds")
    ]


class QueueOut(msgspec.Struct, frozen=True, kw_only=True):
    """What waits. Single uploads go first; batches and whole recordings are bulk."""

    urgent: LineOut
    bulk: LineOut


class ExampleOut(msgspec.Struct, frozen=True, kw_only=True):
    """A recording that people have made the example of a genre."""

    job_id: uuid.UUID
    title: str
    artist: str | None


class UserOut(msgspec.Struct, frozen=True, kw_only=True):
    """Who is asking."""

    name: str
    role: str
    kind: Annotated[str, Meta(description="user or api_key")]
