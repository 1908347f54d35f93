"""The report of ``earmark batch``: one line for each file, whatever became of it."""

from __future__ import annotations

import csv
import uuid
from collections.abc import Sequence
from pathlib import Path

import msgspec

from app.cli.batch_state import Fate
from app.domain.jobs import JobState
from app.domain.reports import BYTE_ORDER_MARK, ReportRow, unformulated

_OUT_OF_REACH = "out_of_reach"
_DELETED = "deleted"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """``confident``: whether the probability reaches what was asked for. ``error``: a code of docs/errors.md, or a word."""

    file: str
    job_id: uuid.UUID | None = None
    state: JobState = JobState.FAILED
    title: str | None = None
    artist: str | None = None
    top_1: str | None = None
    probability: float | None = None
    confident: bool | None = None
    tier: str | None = None
    top_5: str | None = None
    final_label: str | None = None
    error: str | None = None

    @property
    def failed(self) -> bool:
        return self.state is not JobState.DONE


def line_of(path: str, fate: Fate | None, rows: dict[uuid.UUID, ReportRow], min_confidence: float) -> Line:
    job_id = fate.job_id if fate else None
    row = rows.get(job_id) if job_id else None
    if row is None:
        return Line(file=path, job_id=job_id, error=fate.error or _DELETED if fate else _OUT_OF_REACH)
    return Line(
        file=path,
        job_id=job_id,
        state=row.state,
        title=row.title,
        artist=row.artist,
        top_1=row.top_1,
        probability=round(row.probability, 4) if row.probability is not None else None,
        confident=row.probability >= min_confidence if row.probability is not None else None,
        tier=row.tier,
        top_5="; ".join(f"{score.genre} {score.probability:.4f}" for score in row.top_5),
        final_label=row.final_label,
        error=row.error or (None if row.state is JobState.DONE else row.state),
    )


def _cells(line: Line) -> list[str | float | None]:
    values = msgspec.to_builtins(line)
    values["confident"] = {True: "yes", False: "no", None: None}[line.confident]
    return [unformulated(value) for value in values.values()]


def write_report(path: Path, lines: Sequence[Line]) -> None:
    """All of it or none."""
    growing = path.with_name(f".{path.name}.part")
    with growing.open("w", encoding="utf-8", newline="") as file:
        file.write(BYTE_ORDER_MARK)
        writer = csv.writer(file)
        writer.writerow(Line.__struct_fields__)
        writer.writerows(map(_cells, lines))
    growing.replace(path)
