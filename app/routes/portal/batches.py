"""Batches: the list, one of them while it is sent and analysed, and what can be done with it."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import Annotated

import msgspec
from litestar import get, post
from litestar.params import FromPath, JSONBody
from litestar.response import Template
from msgspec import Meta

from app.domain.batches import NAME_LIMIT, BatchDetailOut
from app.domain.jobs import JobState
from app.domain.permissions import Permission, Principal
from app.i18n import Reader
from app.routes.deps import Caller, Parts, ReadUow, Uow, WebRequest
from app.routes.guards import needs
from app.routes.pages import asked_by_script, page, reader_of
from app.routes.portal import views
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import Shown
from app.routes.portal.words import genre_name
from app.services import arrivals, batches
from app.services.arrivals import FILES_LIMIT, Arrival, Known, LocalFile
from app.services.jobs import JobFilter, list_jobs

_PAGE_LENGTH = 30
_FILTERS = {
    Shown.ALL: JobFilter(),
    Shown.FAILED: JobFilter(state=JobState.FAILED),
    Shown.REVIEW: JobFilter(needs_review=True),
}


def _cursor_of(request: WebRequest) -> uuid.UUID | None:
    """An old or mistyped address shows the first page rather than an error."""
    try:
        return uuid.UUID(request.query_params.get("cursor", ""))
    except ValueError:
        return None


# --- the list


@get("/batches", opt=needs(Permission.JOBS_READ))
async def list_page(request: WebRequest, caller: Caller, read_uow: ReadUow, notices: AllNotices) -> Template:
    """The page; for "show more" the next rows."""
    cursor = _cursor_of(request)
    found = await batches.list_batches(read_uow, caller, cursor=cursor, limit=_PAGE_LENGTH)
    more = f"/batches?cursor={found.next_cursor}" if found.next_cursor else None
    part = views.BatchesPart(batches=found.items, more_address=more)
    if asked_by_script(request) and cursor is not None:
        return page(request, "batches/list_rows.html", part)
    may_upload = caller.may(Permission.JOBS_CREATE)
    return page(request, "batches/list.html", views.BatchesPage(notices=notices, part=part, may_upload=may_upload))


class NewBatch(msgspec.Struct, frozen=True, kw_only=True):
    """What the upload script sends before the first file of a folder."""

    name: Annotated[str, Meta(min_length=1, max_length=NAME_LIMIT, pattern=r"^[^\x00-\x1f]*$")]
    private: bool = False


class MadeBatch(msgspec.Struct, frozen=True, kw_only=True):
    address: str


@post("/batches", opt=needs(Permission.JOBS_CREATE))
async def create(data: JSONBody[NewBatch], caller: Caller, uow: Uow) -> MadeBatch:
    batch = await batches.create_batch(uow, caller, data.name, private=data.private)
    return MadeBatch(address=f"/batches/{batch.id}")


# --- one batch


def _panel(caller: Principal, batch: BatchDetailOut) -> views.BatchPanel:
    return views.BatchPanel(batch=batch, own=views.may_change_batch(caller, batch))


async def _rows(request: WebRequest, caller: Principal, uow: ReadUow, batch_id: uuid.UUID) -> views.BatchRows:
    sent = request.query_params.get("show", "")
    shown = Shown(sent) if sent in set(Shown) else Shown.ALL
    wanted = replace(_FILTERS[shown], batch_id=batch_id)
    found = await list_jobs(uow, caller, wanted, cursor=_cursor_of(request), limit=_PAGE_LENGTH)
    more = f"/batches/{batch_id}/rows?show={shown}&cursor={found.next_cursor}" if found.next_cursor else None
    return views.BatchRows(batch_id=batch_id, shown=shown, jobs=found.items, more_address=more)


@get("/batches/{batch_id:uuid}", opt=needs(Permission.JOBS_READ))
async def batch_page(
    request: WebRequest,
    parts: Parts,
    caller: Caller,
    *,
    read_uow: ReadUow,
    notices: AllNotices,
    batch_id: FromPath[uuid.UUID],
) -> Template:
    view = views.BatchPage(
        notices=notices,
        panel=_panel(caller, await batches.get_batch(read_uow, caller, batch_id)),
        rows=await _rows(request, caller, read_uow, batch_id),
        limit_bytes=parts.preferences.value.upload_limit_bytes,
    )
    return page(request, "batches/batch.html", view)


@get("/batches/{batch_id:uuid}/panel", opt=needs(Permission.JOBS_READ))
async def panel(request: WebRequest, caller: Caller, read_uow: ReadUow, batch_id: FromPath[uuid.UUID]) -> Template:
    batch = await batches.get_batch(read_uow, caller, batch_id)
    return page(request, "batches/panel.html", _panel(caller, batch))


@get("/batches/{batch_id:uuid}/rows", opt=needs(Permission.JOBS_READ))
async def rows(request: WebRequest, caller: Caller, read_uow: ReadUow, batch_id: FromPath[uuid.UUID]) -> Template:
    """The table of its recordings; for "show more" the next rows."""
    part = await _rows(request, caller, read_uow, batch_id)
    return page(request, "jobs/rows.html" if _cursor_of(request) else "batches/recordings.html", part)


@post("/batches/{batch_id:uuid}/close", opt=needs(Permission.JOBS_CREATE), status_code=200)
async def close(request: WebRequest, caller: Caller, uow: Uow, batch_id: FromPath[uuid.UUID]) -> Template:
    """Everything has been sent."""
    return page(request, "batches/panel.html", _panel(caller, await batches.close_batch(uow, caller, batch_id)))


@post("/batches/{batch_id:uuid}/cancel", opt=needs(Permission.JOBS_CREATE), status_code=200)
async def cancel(request: WebRequest, parts: Parts, caller: Caller, batch_id: FromPath[uuid.UUID]) -> Template:
    batch = await batches.cancel_batch(parts.store, caller, batch_id)
    return page(request, "batches/panel.html", _panel(caller, batch))


@post("/batches/{batch_id:uuid}/retry", opt=needs(Permission.JOBS_CREATE), status_code=200)
async def retry(request: WebRequest, caller: Caller, uow: Uow, batch_id: FromPath[uuid.UUID]) -> Template:
    return page(request, "batches/panel.html", _panel(caller, await batches.retry_failed(uow, caller, batch_id)))


# --- what is here already


class LocalFiles(msgspec.Struct, frozen=True, kw_only=True):
    files: Annotated[list[LocalFile], Meta(max_length=FILES_LIMIT)]


class KnownFile(msgspec.Struct, frozen=True, kw_only=True):
    """For the upload script. ``address`` and ``words`` (in the reader's language) are of the recording it duplicates."""

    arrival: Arrival
    address: str | None
    words: str | None


def _known_file(reader: Reader, known: Known) -> KnownFile:
    words = known.name
    if known.genre is not None and known.probability is not None:
        words = f"{known.name}: {reader.gettext(genre_name(known.genre))} {reader.percent(known.probability)}"
    return KnownFile(arrival=known.arrival, address=f"/jobs/{known.job_id}" if known.job_id else None, words=words)


@post("/batches/{batch_id:uuid}/known", opt=needs(Permission.JOBS_CREATE), status_code=200)
async def known(
    request: WebRequest, data: JSONBody[LocalFiles], caller: Caller, *, read_uow: ReadUow, batch_id: FromPath[uuid.UUID]
) -> list[KnownFile]:
    """Which of the files need not be sent, in their order."""
    found = await arrivals.known_files(read_uow, caller, batch_id, data.files)
    return [_known_file(reader_of(request), one) for one in found]


HANDLERS = [list_page, create, batch_page, panel, rows, close, cancel, retry, known]
