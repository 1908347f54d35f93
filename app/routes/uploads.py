"""Receiving an audio file, straight to storage, for the API and the portal alike.

The body is neither held in memory nor spooled to disk first: it streams through the parser into storage, so Litestar's own
form parsing must not touch it. Of a multipart/form-data request the field ``file`` is the audio.
"""

from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import TypeAlias

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from app.domain.jobs import is_bulk
from app.domain.keys import audio_key
from app.domain.permissions import Principal
from app.domain.views import JobOut
from app.errors import BodyTooLarge, FileMissing, UploadMalformed
from app.routes.deps import WebParts, WebRequest
from app.routes.job_options import fields_of_texts, options_of
from app.services.infections import infections_audited
from app.services.submissions import submit_upload
from app.services.uploads import StoredUpload, receive_upload, too_large

FILE_FIELD = "file"

# Boundaries, headers and small fields around the file.
_FRAMING_LIMIT_BYTES = 64 * 1024
_FIELD_LIMIT_BYTES = 16 * 1024
_PARTS_LIMIT = 16

_Event: TypeAlias = MultipartSegment | bytes | bytearray | None


@dataclass(slots=True)
class Received:
    """The file of a form, in storage but in no table yet, and the fields beside it."""

    upload: StoredUpload
    fields: dict[str, str]


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
            parts.files, _content(events), name=event.filename or "", limit_bytes=limit_bytes, scanner=parts.scanner
        )


def _boundary(request: WebRequest) -> str:
    media_type, options = request.content_type
    if media_type != "multipart/form-data":
        raise FileMissing
    if not options.get("boundary"):
        raise UploadMalformed
    return options["boundary"]


def _announced(request: WebRequest, limit_bytes: int) -> AsyncIterator[bytes]:
    """The body, if it does not announce itself as too large."""
    if (request.content_length or 0) > limit_bytes + _FRAMING_LIMIT_BYTES:
        raise too_large(limit_bytes)
    return _limited(_body(request), limit_bytes)


async def give_up(parts: WebParts, upload: StoredUpload | None) -> None:
    """Delete the file of a request that came to nothing."""
    if upload is not None:
        await parts.files.delete(audio_key(upload.asset_id))


async def receive_form(request: WebRequest, parts: WebParts, caller: Principal) -> Received:
    """The file of a multipart request goes to storage as it comes in; of a refused request nothing is left there.

    Raises:
        FileMissing, FileEmpty, TooLarge, Unsupported, UploadMalformed, FileInfected, ScannerUnavailable
    """
    form = _Form()
    try:
        limit_bytes = parts.preferences.value.upload_limit_bytes
        events = _events(_announced(request, limit_bytes), _boundary(request))
        async with infections_audited(parts.store, caller):
            await _read_form(form, events, parts)
    except Exception:
        await give_up(parts, form.upload)
        raise
    if form.upload is None:
        raise FileMissing
    return Received(form.upload, form.fields)


async def receive_body(request: WebRequest, parts: WebParts, caller: Principal, name: str) -> StoredUpload:
    """The same for a body that is the file.

    Raises:
        FileEmpty, TooLarge, Unsupported, UploadMalformed, FileInfected, ScannerUnavailable
    """
    limit_bytes = parts.preferences.value.upload_limit_bytes
    body = _announced(request, limit_bytes)
    async with infections_audited(parts.store, caller):
        return await receive_upload(parts.files, body, name=name, limit_bytes=limit_bytes, scanner=parts.scanner)


async def small_body(request: WebRequest, limit_bytes: int) -> bytes:
    """The body of a request whose route sets no limit.

    Raises:
        BodyTooLarge, UploadMalformed
    """
    content = b""
    async for chunk in _body(request):
        content += chunk
        if len(content) > limit_bytes:
            raise BodyTooLarge
    return content


async def receive_part(request: WebRequest, parts: WebParts, key: str, size_bytes: int) -> None:
    """A body of exactly that size goes to storage under ``key``.

    Raises:
        TooLarge, UploadMalformed: it is longer, or shorter.
    """

    async def exactly() -> AsyncIterator[bytes]:
        left = size_bytes
        async for chunk in _body(request):
            left -= len(chunk)
            if left < 0:
                raise BodyTooLarge
            yield chunk
        if left:
            raise UploadMalformed

    await parts.files.put(key, exactly())


async def accept_upload(request: WebRequest, parts: WebParts, caller: Principal) -> JobOut:
    """Store the file of a page's form and queue a job for it, analysed anew even if it is known: somebody wants to see it.

    No transaction is open while the body comes in, however long that takes; a refused request leaves nothing behind.

    Raises:
        QueueFull, FileMissing, FileEmpty, TooLarge, Unsupported, UploadMalformed, KindUnknown, BatchNotFound, Forbidden
    """
    said = fields_of_texts(request.query_params)
    await parts.queue_bound.check(parts.store, caller, bulk=is_bulk(said.analyse, said.batch_id))
    received = await receive_form(request, parts, caller)
    try:
        fields = fields_of_texts({**received.fields, **request.query_params})
        options = dataclasses.replace(options_of(fields, parts.config), force=True)
        async with parts.store.writing() as uow:
            return await submit_upload(uow, caller, received.upload, options)
    except Exception:
        await give_up(parts, received.upload)
        raise
