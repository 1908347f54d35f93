"""What a report says of each job, and in which words."""

from __future__ import annotations

import enum
import uuid
from datetime import datetime
from typing import Annotated

import msgspec
from msgspec import Meta

from app.domain.failures import FailureCode
from app.domain.genres import Tier
from app.domain.jobs import JobState
from app.domain.results import GenreScore
from app.errors import N_

TOP = 5

Cell = str | float | None

BYTE_ORDER_MARK = "\ufeff"  # by which Excel knows that a CSV is UTF-8
# What makes a spreadsheet take a text for a formula; the full-width signs are typed in Chinese.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def unformulated(cell: Cell) -> Cell:
    """A text that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(_FORMULA_STARTS) else cell


class ReportFormat(enum.StrEnum):
    """The suffix of a report's address."""

    CSV = "csv"
    XLSX = "xlsx"
    JSON_LINES = "jsonl"
    JSON = "json"
    JAMS = "jams.zip"

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    ReportFormat.CSV: "text/csv",
    ReportFormat.XLSX: "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    ReportFormat.JSON_LINES: "application/jsonl",
    ReportFormat.JSON: "application/json",
    ReportFormat.JAMS: "application/zip",
}


class ReportRow(msgspec.Struct, frozen=True, kw_only=True):
    """One job in a report."""

    file: str
    title: str | None
    artist: str | None
    top_1: Annotated[str | None, Meta(description="Id of the genre that the model thinks most likely")]
    probability: Annotated[float, Meta(ge=0, le=1)] | None
    tier: Tier | None
    top_5: list[GenreScore]
    final_label: Annotated[str | None, Meta(description="Id of the genre that people have decided on")]
    reviewer: Annotated[str | None, Meta(description="Names of those who decided")]
    analysis_s: Annotated[float | None, Meta(description="Seconds that the analysis took")]
    finished_at: datetime | None
    job_id: uuid.UUID
    state: JobState
    error: Annotated[FailureCode | None, Meta(description="Code of the failure, if the job failed")]


# In the order of the fields of a row: what people read above the column.
COLUMN_NAMES = (
    N_("File"),
    N_("Title"),
    N_("Artist"),
    N_("First genre"),
    N_("Probability"),
    N_("Certainty"),
    N_("First five genres"),
    N_("Final genre"),
    N_("Reviewer"),
    N_("Analysis time (s)"),
    N_("Finished at"),
    N_("Job"),
    N_("State"),
    N_("Error"),
)
STATE_NAMES = {
    JobState.QUEUED: N_("Queued"),
    JobState.RUNNING: N_("Analysing"),
    JobState.DONE: N_("Done"),
    JobState.FAILED: N_("Failed"),
    JobState.CANCELLED: N_("Cancelled"),
}
TIER_NAMES = {Tier.HIGH: N_("High"), Tier.MEDIUM: N_("Medium"), Tier.LOW: N_("Low")}
