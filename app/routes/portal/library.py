"""The library: every recording, found by name, filter and order, and what can be done to several at once."""

from __future__ import annotations

import enum
import re
import uuid
from datetime import date, datetime, timedelta
from typing import TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
from litestar import Response, get, post
from litestar.enums import MediaType
from litestar.params import FromPath
from litestar.response import Stream, Template

from app.domain.genres import GENRE_IDS, Tier
from app.domain.jobs import JobState
from app.domain.library import BulkAction, Choice, LibraryEntry, LibraryFilter, LibraryOrder, ReviewStatus, SavedViewOut
from app.domain.permissions import Permission, Principal
from app.domain.reports import ReportFormat
from app.domain.views import JobOut
from app.errors import N_, JobNotFound, NotFound
from app.i18n import Reader
from app.routes.deps import Caller, Parts, ReadUow, Uow, WebRequest
from app.routes.guards import needs
from app.routes.pages import asked_by_script, page, reader_of
from app.routes.portal.notices import AllNotices
from app.routes.portal.views import PortalPage, may_change
from app.routes.ranges import content_disposition
from app.services import jobs, library, reports, saved_views
from app.services.jobs import JobFilter

ADDRESS = "/library"
_PAGE_LENGTH = 50
_TEXT_LIMIT = 200
_MINE = "me"

_Choice = TypeVar("_Choice", bound=enum.StrEnum)


class LibraryQuery(msgspec.Struct, frozen=True, kw_only=True):
    """What the list is limited to and ordered by, as it stands in the form."""

    text: str = ""
    genre: str = ""
    tier: Tier | None = None
    state: JobState | None = None
    review: ReviewStatus | None = None
    batch: uuid.UUID | None = None
    by: str = ""
    since: date | None = None
    until: date | None = None
    order: LibraryOrder = LibraryOrder.NEWEST

    @property
    def limited(self) -> bool:
        return self.parameters().keys() - {"order"} != set()

    @property
    def detailed(self) -> bool:
        """Is anything set that stands behind "more filters"?"""
        return any((self.state, self.review, self.batch, self.by, self.since, self.until))

    def parameters(self) -> dict[str, str]:
        """For the address of the same list."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        values["order"] = None if self.order is LibraryOrder.NEWEST else self.order
        return {name: str(value) for name, value in values.items() if value}

    def address(self, **others: str) -> str:
        parameters = self.parameters() | others
        return ADDRESS + (f"?{urlencode(parameters)}" if parameters else "")


class LibraryRow(msgspec.Struct, frozen=True, kw_only=True):
    entry: LibraryEntry


class LibraryPart(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of one page of the list, and the way to the next."""

    query: LibraryQuery
    entries: list[LibraryEntry]
    more_address: str | None


class LibraryView(PortalPage, frozen=True, kw_only=True):
    part: LibraryPart
    views: list[SavedViewOut]
    batches: list[Choice]
    people: list[Choice]
    programs: list[Choice]
    actions: list[BulkAction]


class LibraryDetail(msgspec.Struct, frozen=True, kw_only=True):
    job: JobOut
    own: bool


class Toast(msgspec.Struct, frozen=True, kw_only=True):
    """A short message in the reader's language. ``good``: it went as wished."""

    text: str
    good: bool


# --- the query


def _choice(kind: type[_Choice], value: str | None) -> _Choice | None:
    """An old or mistyped address shows more rather than an error."""
    return kind(value) if value in set(kind) else None


def _id(value: str | None) -> uuid.UUID | None:
    try:
        return uuid.UUID(value or "")
    except ValueError:
        return None


def _date(value: str | None) -> date | None:
    try:
        return date.fromisoformat(value or "")
    except ValueError:
        return None


def _submitter(value: str) -> str:
    kind, _, key = value.partition("-")
    return value if value == _MINE or (kind in ("user", "key") and _id(key)) else ""


def query_of(sent: dict[str, str]) -> LibraryQuery:
    return LibraryQuery(
        text=sent.get("text", "").strip()[:_TEXT_LIMIT],
        genre=sent["genre"] if sent.get("genre") in GENRE_IDS else "",
        tier=_choice(Tier, sent.get("tier")),
        state=_choice(JobState, sent.get("state")),
        review=_choice(ReviewStatus, sent.get("review")),
        batch=_id(sent.get("batch")),
        by=_submitter(sent.get("by", "")),
        since=_date(sent.get("since")),
        until=_date(sent.get("until")),
        order=_choice(LibraryOrder, sent.get("order")) or LibraryOrder.NEWEST,
    )


def _begin(day: date, reader: Reader) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=reader.zone)


def filter_of(query: LibraryQuery, caller: Principal, reader: Reader) -> LibraryFilter:
    """Days begin and end where the reader is."""
    kind, _, key = query.by.partition("-")
    submitter = caller.user_id if kind == _MINE else _id(key)
    return LibraryFilter(
        text=query.text,
        genre=query.genre or None,
        tier=query.tier,
        state=query.state,
        review=query.review,
        batch_id=query.batch,
        user_id=submitter if kind in (_MINE, "user") else None,
        api_key_id=submitter if kind == "key" else None,
        added_from=_begin(query.since, reader) if query.since else None,
        added_before=_begin(query.until + timedelta(days=1), reader)
        if query.until and query.until < date.max
        else None,
    )


def _shown_query(request: WebRequest) -> LibraryQuery:
    """Of the page from which a script asks."""
    return query_of(dict(parse_qsl(urlsplit(request.headers.get("hx-current-url", "")).query)))


# --- the list


@get(ADDRESS, opt=needs(Permission.JOBS_READ))
async def list_page(request: WebRequest, caller: Caller, *, read_uow: ReadUow, notices: AllNotices) -> Template:
    """The page; for the filter its table; for "show more" the next rows."""
    query, cursor = query_of(dict(request.query_params)), request.query_params.get("cursor")
    wanted = filter_of(query, caller, reader_of(request))
    found = await library.list_recordings(read_uow, caller, wanted, query.order, cursor=cursor, limit=_PAGE_LENGTH)
    more = query.address(cursor=found.next_cursor) if found.next_cursor else None
    part = LibraryPart(query=query, entries=found.items, more_address=more)
    if not asked_by_script(request):
        return page(request, "library/library.html", await _whole(read_uow, caller, notices, part))
    if cursor is not None:
        return page(request, "library/rows.html", part)
    return page(request, "library/results.html", part, headers={"HX-Push-Url": query.address()})


async def _whole(uow: ReadUow, caller: Principal, notices: AllNotices, part: LibraryPart) -> LibraryView:
    people, programs = await saved_views.submitter_choices(uow)
    return LibraryView(
        notices=notices,
        part=part,
        views=await saved_views.list_views(uow, caller),
        batches=await saved_views.batch_choices(uow, caller),
        people=people,
        programs=programs,
        actions=[action for action in BulkAction if caller.may(library.NEEDED[action])],
    )


@get(f"{ADDRESS}/{{job_id:uuid}}/row", opt=needs(Permission.JOBS_READ))
async def row(
    request: WebRequest, caller: Caller, read_uow: ReadUow, job_id: FromPath[uuid.UUID]
) -> Template | Response[str]:
    """The row as it is now; nothing once the recording is deleted, so that the row goes away."""
    try:
        entry = await library.get_recording(read_uow, caller, job_id)
    except JobNotFound:
        return Response("", media_type=MediaType.HTML)
    return page(request, "library/row.html", LibraryRow(entry=entry))


@get(f"{ADDRESS}/{{job_id:uuid}}/detail", opt=needs(Permission.JOBS_READ))
async def detail(request: WebRequest, caller: Caller, read_uow: ReadUow, job_id: FromPath[uuid.UUID]) -> Template:
    """What unfolds beneath a row."""
    job = await jobs.get_job(read_uow, caller, job_id)
    return page(request, "library/detail.html", LibraryDetail(job=job, own=may_change(caller, job)))


# --- several at once


_LEFT = N_("Left as they are: {count}, because they are somebody else's or in a state in which this can't be done.")
_OUTCOMES = {
    BulkAction.DELETE: N_("Deleted: {count}."),
    BulkAction.REANALYSE: N_("Analysed again: {count}."),
    BulkAction.REVIEW: N_("Sent to review: {count}."),
}


async def _chosen(request: WebRequest) -> list[uuid.UUID]:
    form = await request.form()
    return [job_id for value in form.getall("job", []) if (job_id := _id(str(value)))]


def _outcome_toast(reader: Reader, action: BulkAction, outcome: library.BulkOutcome) -> Toast:
    text = reader.fill(_OUTCOMES[action], {"count": reader.number(outcome.done)})
    if outcome.skipped:
        text = f"{text} {reader.fill(_LEFT, {'count': reader.number(outcome.skipped)})}"
    return Toast(text=text, good=outcome.done > 0)


@post(f"{ADDRESS}/actions/{{action:str}}", opt=needs(Permission.JOBS_CREATE), status_code=200)
async def act(request: WebRequest, parts: Parts, caller: Caller, action: FromPath[str]) -> Template:
    """The files of deleted recordings go after the commit: better a file without a job than a job without its file."""
    wished = _choice(BulkAction, action)
    if wished is None:
        raise NotFound
    job_ids = await _chosen(request)
    async with parts.store.writing() as uow:
        outcome = await library.act(uow, caller, wished, job_ids)
    for key in outcome.keys:
        await parts.files.delete(key)
    toast = _outcome_toast(reader_of(request), wished, outcome)
    return page(request, "partials/toast.html", toast, headers={"HX-Trigger": "library-changed"})


_EXPORTS = (ReportFormat.CSV, ReportFormat.XLSX, ReportFormat.JSON_LINES)


@get(f"{ADDRESS}/export/{{report_format:str}}", opt=needs(Permission.JOBS_READ))
async def export(request: WebRequest, parts: Parts, caller: Caller, report_format: FromPath[str]) -> Stream:
    """The chosen recordings (``job``), or all that the filter finds up to the limit, in the words of the reader."""
    wished = _choice(ReportFormat, report_format)
    if wished not in _EXPORTS:
        raise NotFound
    reader = reader_of(request)
    job_ids = [job_id for value in request.query_params.getall("job", []) if (job_id := _id(value))]
    if not job_ids:
        wanted = filter_of(query_of(dict(request.query_params)), caller, reader)
        async with parts.store.reading() as uow:
            job_ids = await library.find_all(uow, caller, wanted)
    chosen = JobFilter(job_ids=frozenset(job_ids))
    content = reports.report(parts.store.uncut_reading, caller, chosen, wished, reader=reader)
    headers = {"Content-Disposition": content_disposition(f"library.{wished}", download=True)}
    return Stream(content, media_type=wished.media_type, headers=headers)


# --- saved views


@post(f"{ADDRESS}/views", opt=needs(Permission.VIEWS_SAVE), status_code=200)
async def save_view(request: WebRequest, caller: Caller, uow: Uow) -> Response[str]:
    """The list as it is shown, under a name."""
    form, query = await request.form(), _shown_query(request)
    name = re.sub(r"\s+", " ", str(form.get("name", ""))).strip()
    await saved_views.save_view(uow, caller, name, urlencode(query.parameters()), shared=bool(form.get("shared")))
    return Response("", headers={"HX-Redirect": query.address()}, media_type=MediaType.HTML)


@post(f"{ADDRESS}/views/{{view_id:uuid}}/delete", opt=needs(Permission.VIEWS_SAVE), status_code=200)
async def delete_view(caller: Caller, uow: Uow, view_id: FromPath[uuid.UUID]) -> Response[str]:
    await saved_views.delete_view(uow, caller, view_id)
    return Response("", headers={"HX-Redirect": ADDRESS}, media_type=MediaType.HTML)


HANDLERS = [list_page, row, detail, act, export, save_view, delete_view]
