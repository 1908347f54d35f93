"""Reports as tables: CSV and XLSX, in the ids of the API or in a reader's words."""

from __future__ import annotations

import csv
import io
from collections.abc import AsyncIterator, Callable, Sequence
from datetime import UTC
from tempfile import TemporaryFile
from typing import IO

from anyio import CancelScope, to_thread

from app.domain.failures import WORDS
from app.domain.genres import BY_ID
from app.domain.reports import (
    BYTE_ORDER_MARK,
    COLUMN_NAMES,
    STATE_NAMES,
    TIER_NAMES,
    Cell,
    ReportRow,
    unformulated,
)
from app.i18n import Reader

_SHEET_ROWS = 1_000_000
_CHUNK_BYTES = 256 * 1024


# --- cells


def column_names(reader: Reader | None) -> list[str]:
    return [reader.gettext(name) for name in COLUMN_NAMES] if reader else list(ReportRow.__struct_fields__)


def _genre(genre: str | None, reader: Reader | None) -> str | None:
    known = BY_ID.get(genre) if genre else None
    return reader.gettext(known.name) if reader and known else genre


def _named_cells(row: ReportRow, reader: Reader | None) -> tuple[str | None, str, str | None]:
    """Tier, state and error."""
    if reader is None:
        return row.tier, row.state, row.error
    return (
        reader.gettext(TIER_NAMES[row.tier]) if row.tier else None,
        reader.gettext(STATE_NAMES[row.state]),
        reader.gettext(WORDS[row.error].title) if row.error else None,
    )


def _moment(row: ReportRow, reader: Reader | None) -> str | None:
    if row.finished_at is None:
        return None
    zone = reader.zone if reader else UTC
    return row.finished_at.astimezone(zone).isoformat(sep=" " if reader else "T", timespec="seconds")


def cells(row: ReportRow, reader: Reader | None) -> list[Cell]:
    """In the order of the columns; without a reader with ids instead of names."""
    tier, state, error = _named_cells(row, reader)
    top_5 = "; ".join(f"{_genre(score.genre, reader)} {score.probability:.4f}" for score in row.top_5)
    return [
        row.file,
        row.title,
        row.artist,
        _genre(row.top_1, reader),
        round(row.probability, 4) if row.probability is not None else None,
        tier,
        top_5,
        _genre(row.final_label, reader),
        row.reviewer,
        row.analysis_s,
        _moment(row, reader),
        str(row.job_id),
        state,
        error,
    ]


# --- files


def _csv_lines(lines: Sequence[Sequence[Cell]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows([[unformulated(cell) for cell in line] for line in lines])
    return text.getvalue().encode()


async def csv_file(pages: AsyncIterator[Sequence[ReportRow]], reader: Reader | None) -> AsyncIterator[bytes]:
    yield BYTE_ORDER_MARK.encode() + _csv_lines([column_names(reader)])
    async for page in pages:
        yield _csv_lines([cells(row, reader) for row in page])


class _Workbook:
    """A workbook that is written row by row to disk; a new sheet begins when one is full."""

    def __init__(self, file: IO[bytes], header: Sequence[str]) -> None:
        import xlsxwriter  # noqa: PLC0415  no start of a server waits for it

        self._book = xlsxwriter.Workbook(file, {"constant_memory": True})
        self._bold = self._book.add_format({"bold": True})
        self._header = header
        self._next_row = _SHEET_ROWS

    def add(self, lines: Sequence[Sequence[Cell]]) -> None:
        for line in lines:
            if self._next_row >= _SHEET_ROWS:
                self._begin_sheet()
            for column, cell in enumerate(line):
                if isinstance(cell, str):
                    self._sheet.write_string(self._next_row, column, cell)  # never a formula, never a link
                elif cell is not None:
                    self._sheet.write_number(self._next_row, column, cell)
            self._next_row += 1

    def _begin_sheet(self) -> None:
        self._sheet = self._book.add_worksheet()
        self._sheet.set_column(0, len(self._header) - 1, 18)
        self._sheet.freeze_panes(1, 1)
        for column, name in enumerate(self._header):
            self._sheet.write_string(0, column, name, self._bold)
        self._next_row = 1

    def close(self) -> None:
        if self._next_row == _SHEET_ROWS:
            self._begin_sheet()
        self._book.close()


async def xlsx_file(pages: AsyncIterator[Sequence[ReportRow]], reader: Reader | None) -> AsyncIterator[bytes]:
    """The format has its table of contents at the end, so the file is finished on disk before it is sent."""
    with TemporaryFile() as file:
        book = _Workbook(file, column_names(reader))
        try:
            async for page in pages:
                await _in_thread(book.add, [cells(row, reader) for row in page])
        finally:
            await _in_thread(book.close)
        file.seek(0)
        while chunk := file.read(_CHUNK_BYTES):
            yield chunk


async def _in_thread(work: Callable[..., None], *arguments: object) -> None:
    """To its end, even if the one who asked for it has left."""
    with CancelScope(shield=True):
        await to_thread.run_sync(work, *arguments)
