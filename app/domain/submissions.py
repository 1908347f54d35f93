"""What a submitter may say about a job, and what direct uploads look like."""

from __future__ import annotations

import enum
import uuid
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.domain.addresses import IntranetHosts
from app.domain.jobs import AnalysisScope, JobKind
from app.domain.media import NAME_LIMIT, Container

URL_LIMIT = 2048
ATTRIBUTES_LIMIT_BYTES = 8 * 1024

# The smallest part that every S3 takes is 5 MB; more parts than this would make long answers.
PART_BYTES = 8 * 1024 * 1024
MOST_PARTS = 1000

FileName = Annotated[str, Meta(min_length=1, max_length=NAME_LIMIT, description="File name", examples=["morning.flac"])]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOptions:
    """``attributes`` are the submitter's own words (the API says metadata); ``force`` refuses an earlier job's result.

    ``intranet``: where a callback may go beside public hosts.
    """

    kind: JobKind = JobKind.GENRE
    scope: AnalysisScope = AnalysisScope.START
    batch_id: uuid.UUID | None = None
    attributes: dict[str, Any] = field(default_factory=dict)
    callback_url: str | None = None
    intranet: IntranetHosts = field(default_factory=IntranetHosts)
    force: bool = False


# --- direct uploads


class UploadState(enum.StrEnum):
    OPEN = "open"
    COMPLETE = "complete"


class NewUpload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A large file that is about to be sent in parts."""

    name: FileName
    size_bytes: Annotated[int, Meta(ge=1, le=10_000_000_000, description="Size of the whole file in bytes")]


class UploadPart(msgspec.Struct, frozen=True, kw_only=True):
    """One part and where to send it, by PUT and without credentials: the address is signed."""

    number: Annotated[int, Meta(ge=1)]
    size_bytes: Annotated[int, Meta(ge=1, description="Exactly so many bytes")]
    url: str


class UploadOut(msgspec.Struct, frozen=True, kw_only=True):
    """A file that comes in parts."""

    id: uuid.UUID
    state: UploadState
    name: FileName
    size_bytes: int
    parts: Annotated[list[UploadPart], Meta(description="In the order of the file; none once it is complete")]
    sha256: Annotated[str | None, Meta(description="Hash of the whole file, once it is complete")]
    container: Container | None
    created_at: datetime
    expires_at: Annotated[datetime, Meta(description="Forgotten then, if no job has been made of it")]


def part_size_bytes(size_bytes: int) -> int:
    """Of all parts but the last."""
    return max(PART_BYTES, -(-size_bytes // MOST_PARTS))


def part_sizes_bytes(size_bytes: int, part_bytes: int) -> list[int]:
    whole, rest = divmod(size_bytes, part_bytes)
    return [part_bytes] * whole + ([rest] if rest else [])
