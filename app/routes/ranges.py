"""Files out of storage: ranges, so that players can seek, and validators, so that nothing is sent twice (RFC 9110)."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import quote

from litestar import Response
from litestar.enums import MediaType
from litestar.response import Stream

from app.errors import NotFound
from app.integrations.files import FileGone
from app.routes.deps import WebParts, WebRequest
from app.services.jobs import StoredFile

_ONE_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_UNSAFE_IN_QUOTES = re.compile(r"[^ !#-\[\]-~]|%")


class _Unsatisfiable(Exception):
    """The range lies beyond the end."""


def content_disposition(name: str, *, download: bool) -> str:
    """The name twice: in ASCII for old clients, and exactly (RFC 8187)."""
    plain = _UNSAFE_IN_QUOTES.sub("_", name)
    return f"{'attachment' if download else 'inline'}; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"


def _chosen_range(wanted: str, size_bytes: int) -> tuple[int, int] | None:
    """First byte and the byte after the last; None if the whole file is to be sent (several ranges, or not readable)."""
    match = _ONE_RANGE.fullmatch(wanted.strip())
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:  # the last so many bytes
        start, end = max(size_bytes - int(match[2]), 0), size_bytes
    else:
        start, end = int(match[1]), min(int(match[2]) + 1, size_bytes) if match[2] else size_bytes
        if match[2] and int(match[2]) < start:
            return None
    if start >= end:
        raise _Unsatisfiable
    return start, end


def _is_known(request: WebRequest, etag: str) -> bool:
    known = request.headers.get("if-none-match", "")
    return etag in {tag.strip().removeprefix("W/") for tag in known.split(",")} or known.strip() == "*"


async def _size_bytes(parts: WebParts, file: StoredFile) -> int:
    try:
        return await parts.files.size_bytes(file.key)
    except FileGone as error:
        raise NotFound from error


async def file_response(
    request: WebRequest, parts: WebParts, file: StoredFile, *, download: bool = False
) -> Response[Any]:
    """Send a stored file, or the part of it that the request asks for. Takes no transaction: it may stream for long.

    Raises:
        NotFound: the file is not in storage any more.
    """
    headers = {
        "Accept-Ranges": "bytes",
        "ETag": file.etag,
        "Cache-Control": "private, no-cache",
        "Content-Disposition": content_disposition(file.name, download=download),
    }
    if _is_known(request, file.etag):
        return Response(b"", status_code=304, headers=headers, media_type=MediaType.TEXT)
    size_bytes = await _size_bytes(parts, file)
    start, end, status_code = 0, size_bytes, 200
    if request.headers.get("if-range", file.etag) == file.etag:
        try:
            chosen = _chosen_range(request.headers.get("range", ""), size_bytes)
        except _Unsatisfiable:
            headers["Content-Range"] = f"bytes */{size_bytes}"
            return Response(b"", status_code=416, headers=headers, media_type=MediaType.TEXT)
        if chosen is not None:
            (start, end), status_code = chosen, 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size_bytes}"
    headers["Content-Length"] = str(end - start)
    return Stream(
        parts.files.stream(file.key, start, end), status_code=status_code, headers=headers, media_type=file.media_type
    )
