"""One frozen Struct for each template: what a page shows, and nothing else."""

from __future__ import annotations

import enum
import uuid

import msgspec

from app.domain.batches import BatchDetailOut, BatchOut
from app.domain.library import LibraryEntry
from app.domain.permissions import Permission, Principal
from app.domain.results import GenreScore, close_second
from app.domain.timeline import Timeline, timeline
from app.domain.views import ExampleOut, JobOut


class Notices(msgspec.Struct, frozen=True, kw_only=True):
    """What every page must say before anything else."""

    starter: bool
    worker_missing: bool
    worker_starting: bool
    worker_message: str | None
    worker_trouble: str | None
    webhooks_given_up: int


class NoticesPart(msgspec.Struct, frozen=True, kw_only=True):
    notices: Notices


class PortalPage(msgspec.Struct, frozen=True, kw_only=True):
    notices: Notices


class UploadPage(PortalPage, frozen=True, kw_only=True):
    """``as_batch``: somebody came here to start a batch."""

    limit_bytes: int
    recent: list[JobOut]
    may_upload: bool
    as_batch: bool


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a table of recordings."""

    job: JobOut


class JobPanel(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one recording. ``own``: the asking person may change it. ``may_teach``: and make it an example."""

    job: JobOut
    own: bool
    may_teach: bool

    @property
    def title(self) -> str:
        return self.job.asset.title or self.job.asset.name

    @property
    def timeline(self) -> Timeline | None:
        return timeline(self.job.result.windows) if self.job.result else None

    @property
    def second(self) -> GenreScore | None:
        """The second genre, if it is about as likely as the first."""
        return close_second(self.job.result) if self.job.result else None


class JobPage(PortalPage, frozen=True, kw_only=True):
    panel: JobPanel


class Pair(msgspec.Struct, frozen=True, kw_only=True):
    """A genre, and the probability that each of two recordings has of it."""

    genre: str
    left: float
    right: float


class ComparePage(PortalPage, frozen=True, kw_only=True):
    """Two recordings side by side; while ``right`` is not chosen, what ``text`` finds to choose from.

    ``overlap``: the share of probability that both have in common, once both are done.
    """

    left: JobOut
    right: JobOut | None
    text: str
    found: list[LibraryEntry]
    pairs: list[Pair]
    overlap: float | None


class HelpPage(PortalPage, frozen=True, kw_only=True):
    limit_bytes: int
    review_threshold: float


class BatchesPart(msgspec.Struct, frozen=True, kw_only=True):
    batches: list[BatchOut]
    more_address: str | None


class BatchesPage(PortalPage, frozen=True, kw_only=True):
    part: BatchesPart
    may_upload: bool


class BatchPanel(msgspec.Struct, frozen=True, kw_only=True):
    """What of a batch changes while it is analysed. ``own``: the asking person may change it."""

    batch: BatchDetailOut
    own: bool


class Shown(enum.StrEnum):
    """Which recordings of a batch are listed."""

    ALL = "all"
    FAILED = "failed"
    REVIEW = "review"


class BatchRows(msgspec.Struct, frozen=True, kw_only=True):
    batch_id: uuid.UUID
    shown: Shown
    jobs: list[JobOut]
    more_address: str | None


class BatchPage(PortalPage, frozen=True, kw_only=True):
    panel: BatchPanel
    rows: BatchRows
    limit_bytes: int


class GenresPage(PortalPage, frozen=True, kw_only=True):
    """``examples``: the recordings that people have chosen, by genre; the other genres have synthesised ones."""

    examples: dict[str, ExampleOut]
    may_change: bool


class GenrePlayer(msgspec.Struct, frozen=True, kw_only=True):
    """What the small loudspeaker opens. Without an ``example`` a synthesised one plays."""

    genre: str
    example: ExampleOut | None


class ExampleChosen(msgspec.Struct, frozen=True, kw_only=True):
    genre: str


class ErrorPage(msgspec.Struct, frozen=True, kw_only=True):
    """``title`` and ``detail`` are in the reader's language already."""

    status: int
    title: str
    detail: str
    error_id: str | None


def may_change_batch(principal: Principal, batch: BatchOut) -> bool:
    """Whether to offer changes; the service decides again."""
    return principal.may(Permission.JOBS_CREATE) and (
        principal.may(Permission.JOBS_DELETE_ANY) or batch.submitted_by == principal.name
    )


def may_change(principal: Principal, job: JobOut) -> bool:
    """Whether to offer changes; the service decides again."""
    return principal.may(Permission.JOBS_DELETE_ANY) or job.submitted_by == principal.name
