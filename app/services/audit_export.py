"""The audit log as a file. It streams: one page of entries is in memory at a time."""

from __future__ import annotations

import csv
import enum
import io
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager

import msgspec

from app.db.repositories import audit as repository
from app.db.uow import Store, UnitOfWork
from app.domain.administration import AuditEntryOut, AuditFilter
from app.domain.permissions import Principal
from app.domain.reports import BYTE_ORDER_MARK, unformulated
from app.services import audit

# Opens a short transaction that only reads.
Reading = Callable[[], AbstractAsyncContextManager[UnitOfWork]]

_PAGE_ROWS = 500
_COLUMNS = ("created_at", "actor", "action", "target_type", "target_id", "details", "id")


class AuditFormat(enum.StrEnum):
    """The suffix of an export's address."""

    CSV = "csv"
    JSON_LINES = "jsonl"

    @property
    def media_type(self) -> str:
        return "text/csv" if self is AuditFormat.CSV else "application/jsonl"


async def begin_export(store: Store, principal: Principal, wanted: AuditFilter, audit_format: AuditFormat) -> None:
    """Write down who takes what out of the log, before the first byte of it is sent."""
    async with store.writing() as uow:
        details = {"format": audit_format, **{name: str(value) for name, value in _said(wanted).items()}}
        audit.record(uow, principal, "audit.export", details=details)


def _said(wanted: AuditFilter) -> dict[str, object]:
    return {name: value for name, value in msgspec.structs.asdict(wanted).items() if value}


def export(reading: Reading, wanted: AuditFilter, audit_format: AuditFormat) -> AsyncIterator[bytes]:
    """The entries in the order in which they were written, up to those of now."""
    pages = _pages(reading, wanted)
    return _csv(pages) if audit_format is AuditFormat.CSV else _json_lines(pages)


async def _pages(reading: Reading, wanted: AuditFilter) -> AsyncIterator[Sequence[AuditEntryOut]]:
    after: uuid.UUID | None = None
    async with reading() as uow:
        conditions = await audit.conditions_of(uow, wanted)
        last = await repository.newest_id(uow.session)
    while last is not None:
        async with reading() as uow:
            found = await repository.find_forwards(uow.session, *conditions, after=after, up_to=last, limit=_PAGE_ROWS)
        if found:
            yield [audit.entry_out(entry) for entry in found]
            after = found[-1].id
        if len(found) < _PAGE_ROWS:
            return


async def _csv(pages: AsyncIterator[Sequence[AuditEntryOut]]) -> AsyncIterator[bytes]:
    yield BYTE_ORDER_MARK.encode() + _lines([_COLUMNS])
    async for page in pages:
        yield _lines([_cells(entry) for entry in page])


def _cells(entry: AuditEntryOut) -> Sequence[str | None]:
    """In the order of the columns; no cell is taken for a formula."""
    values = msgspec.to_builtins(msgspec.structs.asdict(entry))
    values["details"] = msgspec.json.encode(entry.details).decode()
    return [values[name] and str(unformulated(values[name])) for name in _COLUMNS]


def _lines(rows: Sequence[Sequence[str | None]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()


async def _json_lines(pages: AsyncIterator[Sequence[AuditEntryOut]]) -> AsyncIterator[bytes]:
    async for page in pages:
        yield b"".join(msgspec.json.encode(entry) + b"\n" for entry in page)
