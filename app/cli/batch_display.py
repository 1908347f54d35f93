"""The progress of ``earmark batch``, on stderr."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from app.domain.batches import BatchDetailOut


class Display:
    """Two bars on stderr: files at the server, files analysed."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._upload = progress.add_task("Uploading", total=total, pace="")
        self._analysis = progress.add_task("Analysing", total=total, pace="")
        self._begun_s = time.monotonic()
        self._begun_with = 0

    def begin_upload(self, already: int) -> None:
        self._begun_with, self._begun_s = already, time.monotonic()
        self._show(self._upload, already, "")

    def uploaded(self, count: int, total: int) -> None:
        minutes = (time.monotonic() - self._begun_s) / 60
        rate = (count - self._begun_with) / minutes if minutes else 0
        self._show(self._upload, count, _pace(rate, 60 * (total - count) / rate if rate else None))

    def analysed(self, batch: BatchDetailOut) -> None:
        progress = batch.progress
        self._show(self._analysis, progress.ended, _pace(progress.rate_per_minute or 0, progress.remaining_s))

    def _show(self, task: TaskID, completed: int, pace: str) -> None:
        self._progress.update(task, completed=completed, pace=pace)


def _pace(rate_per_minute: float, remaining_s: float | None) -> str:
    if not rate_per_minute or remaining_s is None:
        return ""
    minutes, seconds = divmod(round(remaining_s), 60)
    return f"{rate_per_minute:.0f}/min, {minutes}:{seconds:02d} left"


@contextmanager
def shown_progress(total: int) -> Iterator[Display]:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[pace]}"))
    with Progress(*columns, console=Console(stderr=True)) as progress:
        yield Display(progress, total)
