"""Receiving an audio file by multipart/form-data, straight to storage, for the API and the portal alike.

The body is neither held in memory nor spooled to disk first: it streams through the parser into storage, so Litestar's own
form parsing must not touch it. Field ``file`` is the audio; ``kind`` may be a field or a query parameter.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TypeAlias

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from app.domain.jobs import JobKind
from app.domain.keys import audio_key
from app.domain.permissions import Principal
from app.domain.views import JobOut
from app.errors import FileMissing, KindUnknown, UploadMalformed
from app.routes.deps import WebParts, WebRequest
from app.services.jobs import submit_job
from app.services.uploads import StoredUpload, receive_upload, too_large

FILE_FIELD = "file"
KIND_FIELD = "kind"

# Boundaries, headers and small fields around the file.
_FRAMING_LIMIT_BYTES = 64 * 1024
_FIELD_LIMIT_BYTES = 4 * 1024
_PARTS_LIMIT = 16

_Event: TypeAlias = MultipartSegment | bytes | bytearray | None


@dataclass(slots=True)
class _Form:
    upload: StoredUpload | None = None
    fields: dict[str, str] = field(default_factory=dict)


async def _body(request: WebRequest) -> AsyncIterator[bytes]:
    while True:
        message = await request.receive()
        if message["type"] != "http.request":  # the client is gone
            raise UploadMalformed
        if message["body"]:
            yield message["body"]
        if not message.get("more_body", False):
            return


async def _limited(body: AsyncIterator[bytes], limit_bytes: int) -> AsyncIterator[bytes]:
    """For bodies that do not say how long they are, or lie."""
    received = 0
    async for chunk in body:
        received += len(chunk)
        if received > limit_bytes + _FRAMING_LIMIT_BYTES:
            raise too_large(limit_bytes)
        yield chunk


async def _events(body: AsyncIterator[bytes], boundary: str) -> AsyncIterator[_Event]:
    """A segment's head, its content piece by piece, then None; and so on for each segment."""
    try:
        with PushMultipartParser(boundary, max_segment_count=_PARTS_LIMIT, max_header_size=8192) as parser:
            async for chunk in body:
                for event in parser.parse(chunk) if not parser.closed else ():
                    yield event
    except MultipartError as error:
        raise UploadMalformed from error


async def _content(events: AsyncIterator[_Event]) -> AsyncIterator[bytes]:
    """The content of the segment whose head was read last."""
    async for event in events:
        if not isinstance(event, bytes | bytearray):
            return
        yield bytes(event)


async def _text(events: AsyncIterator[_Event]) -> str:
    value = b""
    async for chunk in _content(events):
        value += chunk
        if len(value) > _FIELD_LIMIT_BYTES:
            raise UploadMalformed
    return value.decode(errors="replace")


async def _read_form(form: _Form, events: AsyncIterator[_Event], parts: WebParts) -> None:
    limit_bytes = parts.preferences.value.upload_limit_bytes
    async for event in events:
        assert isinstance(event, MultipartSegment)
        if event.name != FILE_FIELD:
            form.fields[event.name] = await _text(events)
            continue
        if form.upload is not None:
            raise UploadMalformed  # one job is one file
        if event.filename == "":  # what a browser sends for a form without a chosen file
            raise FileMissing
        form.upload = await receive_upload(
            parts.files, _content(events), name=event.filename or "", limit_bytes=limit_bytes
        )


def _boundary(request: WebRequest) -> str:
    media_type, options = request.content_type
    if media_type != "multipart/form-data":
        raise FileMissing
    if not options.get("boundary"):
        raise UploadMalformed
    return options["boundary"]


def _check_announced_size(request: WebRequest, limit_bytes: int) -> None:
    if (request.content_length or 0) > limit_bytes + _FRAMING_LIMIT_BYTES:
        raise too_large(limit_bytes)


def _kind(request: WebRequest, form: _Form) -> JobKind:
    wanted = request.query_params.get(KIND_FIELD) or form.fields.get(KIND_FIELD) or JobKind.GENRE
    try:
        return JobKind(wanted)
    except ValueError:
        raise KindUnknown(kind=wanted, known=", ".join(JobKind)) from None


async def _receive(request: WebRequest, parts: WebParts, form: _Form) -> None:
    limit_bytes = parts.preferences.value.upload_limit_bytes
    _check_announced_size(request, limit_bytes)
    await _read_form(form, _events(_limited(_body(request), limit_bytes), _boundary(request)), parts)


async def accept_upload(request: WebRequest, parts: WebParts, caller: Principal) -> JobOut:
    """Store the file of a multipart request and queue a job for it; a refused one leaves nothing behind.

    No transaction is open while the body comes in, however long that takes.

    Raises:
        FileMissing, FileEmpty, TooLarge, Unsupported, UploadMalformed, KindUnknown
    """
    form = _Form()
    try:
        await _receive(request, parts, form)
        if form.upload is None:
            raise FileMissing
        kind = _kind(request, form)
        async with parts.store.writing() as uow:
            return await submit_job(uow, caller, form.upload, kind)
    except Exception:
        if form.upload is not None:
            await parts.files.delete(audio_key(form.upload.asset_id))
        raise
