"""What bad uploads get: a clear problem, one line in the log, and nothing left behind."""

from __future__ import annotations

import io
import zipfile

import httpx
import pytest
from sqlalchemy import text
from structlog.testing import capture_logs

from app.routes.deps import WebParts
from tests.support.web import assert_problem, rows

MP3 = b"ID3" + bytes(4000)


def _archive() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("song.mp3", MP3)
    return buffer.getvalue()


def _part(name: str, filename: str | None, content: bytes) -> bytes:
    disposition = f'form-data; name="{name}"' + (f'; filename="{filename}"' if filename is not None else "")
    return b"--x\r\nContent-Disposition: " + disposition.encode() + b"\r\n\r\n" + content + b"\r\n"


MULTIPART = {"content-type": "multipart/form-data; boundary=x"}
END = b"--x--\r\n"
NOBODY = "01a1fc6c-294c-70ab-895a-f266f834db3e"

REFUSED = {
    "empty file": ({"files": {"file": ("a.mp3", b"", "audio/mpeg")}}, 400, "file_empty"),
    "text named mp3": ({"files": {"file": ("a.mp3", b"la la la " * 1000, "audio/mpeg")}}, 415, "unsupported_audio"),
    "one byte": ({"files": {"file": ("a.mp3", b"I", "audio/mpeg")}}, 415, "unsupported_audio"),
    "Linux program": ({"files": {"file": ("a.mp3", b"\x7fELF" + MP3, "audio/mpeg")}}, 415, "unsupported_audio"),
    "Windows program": ({"files": {"file": ("a.wav", b"MZ" + MP3, "audio/wav")}}, 415, "unsupported_audio"),
    "archive": ({"files": {"file": ("a.flac", _archive(), "audio/flac")}}, 415, "unsupported_audio"),
    "picture": ({"files": {"file": ("a.ogg", b"\x89PNG\r\n\x1a\n" + MP3, "audio/ogg")}}, 415, "unsupported_audio"),
    "over the limit": ({"files": {"file": ("a.mp3", b"ID3" + bytes(1_000_000), "audio/mpeg")}}, 413, "too_large"),
    "far over the limit": ({"files": {"file": ("a.mp3", b"ID3" + bytes(3_000_000), "audio/mpeg")}}, 413, "too_large"),
    "no file": ({"files": {"other": ("a.txt", b"1", "text/plain")}}, 400, "file_missing"),
    "no file chosen": (
        {"content": _part("file", "", b"") + END, "headers": MULTIPART},
        400,
        "file_missing",
    ),
    "a page": ({"content": MP3, "headers": {"content-type": "text/html"}}, 400, "file_missing"),
    "no audio as the body": (
        {"content": b"la la la " * 1000, "headers": {"content-type": "audio/mpeg"}},
        415,
        "unsupported_audio",
    ),
    "an empty body": ({"content": b"", "headers": {"content-type": "audio/mpeg"}}, 400, "file_empty"),
    "a body over the limit": (
        {"content": b"ID3" + bytes(1_000_000), "headers": {"content-type": "application/octet-stream"}},
        413,
        "too_large",
    ),
    "metadata that are no JSON": (
        {"files": {"file": ("a.mp3", MP3, "audio/mpeg")}, "data": {"metadata": "{"}},
        400,
        "validation_failed",
    ),
    "too many metadata": (
        {"files": {"file": ("a.mp3", MP3, "audio/mpeg")}, "data": {"metadata": '{"a": "%s"}' % ("b" * 8192)}},
        400,
        "validation_failed",
    ),
    "a batch that is no id": (
        {"files": {"file": ("a.mp3", MP3, "audio/mpeg")}, "data": {"batch_id": "7"}},
        400,
        "validation_failed",
    ),
    "a batch that is not there": (
        {"files": {"file": ("a.mp3", MP3, "audio/mpeg")}, "data": {"batch_id": NOBODY}},
        404,
        "batch_not_found",
    ),
    "JSON that says nothing": ({"json": {}}, 400, "validation_failed"),
    "JSON that says too much": (
        {"json": {"upload_id": NOBODY, "source_url": "https://archive.test/a.mp3"}},
        400,
        "validation_failed",
    ),
    "JSON of another kind": ({"json": {"url": "https://archive.test/a.mp3"}}, 400, "validation_failed"),
    "not JSON": ({"content": b"{", "headers": {"content-type": "application/json"}}, 400, "validation_failed"),
    "an upload that is not there": ({"json": {"upload_id": NOBODY}}, 404, "upload_not_found"),
    "an address inside": ({"json": {"source_url": "https://169.254.169.254/a.mp3"}}, 400, "address_refused"),
    "an address without TLS": ({"json": {"source_url": "http://archive.test/a.mp3"}}, 400, "url_refused"),
    "an address of another kind": ({"json": {"source_url": "file:///etc/passwd"}}, 400, "url_refused"),
    "no content type": ({"content": MP3}, 400, "file_missing"),
    "a form of another kind": ({"data": {"file": "a.mp3"}}, 400, "file_missing"),
    "no boundary": ({"content": MP3, "headers": {"content-type": "multipart/form-data"}}, 400, "upload_malformed"),
    "boundary not used": ({"content": MP3, "headers": MULTIPART}, 400, "upload_malformed"),
    "cut off": ({"content": _part("file", "a.mp3", MP3), "headers": MULTIPART}, 400, "upload_malformed"),
    "cut off in a header": ({"content": b"--x\r\nContent-Dispo", "headers": MULTIPART}, 400, "upload_malformed"),
    "nothing": ({"content": b"", "headers": MULTIPART}, 400, "upload_malformed"),
    "two files": (
        {"content": _part("file", "a.mp3", MP3) + _part("file", "b.mp3", MP3) + END, "headers": MULTIPART},
        400,
        "upload_malformed",
    ),
    "a field too long": (
        {"content": _part("kind", None, b"g" * 17_000) + _part("file", "a.mp3", MP3) + END, "headers": MULTIPART},
        400,
        "upload_malformed",
    ),
    "too many fields": (
        {"content": _part("x", None, b"1") * 20 + _part("file", "a.mp3", MP3) + END, "headers": MULTIPART},
        400,
        "upload_malformed",
    ),
    "a name that is no text": (
        {"content": _part("file", "a.mp3", MP3).replace(b"a.mp3", b"\xff\xfe") + END, "headers": MULTIPART},
        400,
        "upload_malformed",
    ),
    "unknown kind": (
        {"files": {"file": ("a.mp3", MP3, "audio/mpeg")}, "params": {"kind": "faces"}},
        400,
        "kind_unknown",
    ),
    "unknown kind after the file": (
        {"content": _part("file", "a.mp3", MP3) + _part("kind", None, b"faces") + END, "headers": MULTIPART},
        400,
        "kind_unknown",
    ),
}


@pytest.mark.parametrize(("request_", "status", "code"), REFUSED.values(), ids=REFUSED)
async def test_a_bad_upload_is_refused_and_leaves_nothing_behind(
    api: httpx.AsyncClient, parts: WebParts, stored, *, request_, status, code
):
    with capture_logs() as lines:
        answer = await api.post("/api/v1/jobs", **request_)
    assert_problem(answer, status, code)
    assert stored() == []
    assert await rows(parts) == (0, 0)
    [line] = [line for line in lines if line["event"] != "unreachable"]
    assert (line["event"], line["status"], line["problem"]) == ("request", status, code)


async def test_the_limit_itself_is_accepted(api: httpx.AsyncClient, parts: WebParts):
    content = b"ID3" + bytes(parts.preferences.value.upload_limit_bytes - 3)
    answer = await api.post("/api/v1/jobs", files={"file": ("a.mp3", content, "audio/mpeg")})
    assert answer.status_code == 202
    assert answer.json()["asset"]["size_bytes"] == parts.preferences.value.upload_limit_bytes


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("Köln – 夜.mp3", "Köln – 夜.mp3"),
        ("../../etc/passwd", "passwd"),
        ("C:\\music\\song.mp3", "song.mp3"),
        ("/", "audio"),
        ("n" * 300 + ".mp3", "n" * 251 + ".mp3"),
        ('a"b.mp3', 'a"b.mp3'),
    ],
)
async def test_names_are_kept_but_never_become_paths(api: httpx.AsyncClient, stored, sent: str, kept: str):
    answer = await api.post("/api/v1/jobs", files={"file": (sent, MP3, "audio/mpeg")})
    assert answer.status_code == 202
    job = answer.json()
    assert job["asset"]["name"] == kept
    assert [path.name for path in stored()] == [job["asset"]["id"]]
    audio = await api.get(f"/api/v1/jobs/{job['id']}/audio")
    assert audio.content == MP3
    assert audio.headers["content-disposition"].startswith("inline; filename=")


async def test_if_the_job_can_not_be_written_the_file_goes_too(api: httpx.AsyncClient, parts: WebParts, stored):
    async with parts.store.writing() as uow:
        await uow.session.execute(text("ALTER TABLE jobs RENAME TO jobs_away"))
    answer = await api.post("/api/v1/jobs", files={"file": ("a.mp3", MP3, "audio/mpeg")})
    assert_problem(answer, 503, "unavailable")
    assert stored() == []
