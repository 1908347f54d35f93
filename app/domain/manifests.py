"""Manifests: lists of recordings that are somewhere else, one a line, as CSV or JSON Lines."""

from __future__ import annotations

import csv
import io
import uuid
from collections.abc import Iterator
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from app.domain.jobs import AnalysisScope
from app.domain.submissions import ATTRIBUTES_LIMIT_BYTES, URL_LIMIT, FileName
from app.errors import LineFault, ManifestInvalid

LINES_LIMIT = 10_000
MANIFEST_LIMIT_BYTES = 16_000_000
# Columns of a CSV that begin so are metadata: ``metadata.catalogue_number``.
METADATA_PREFIX = "metadata."

_FAULTS_TOLD = 100


class ManifestLine(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One recording: an address to fetch it from, or an upload that is complete."""

    source_url: Annotated[str, Meta(min_length=1, max_length=URL_LIMIT)] | None = None
    upload_id: uuid.UUID | None = None
    name: FileName | None = None
    analyse: AnalysisScope = AnalysisScope.START
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    force: bool = False


Numbered = tuple[int, ManifestLine]


def manifest_invalid(faults: list[LineFault]) -> ManifestInvalid:
    """Tells the first hundred, in the order of the lines."""
    told = sorted(faults, key=lambda fault: fault.line)[:_FAULTS_TOLD]
    return ManifestInvalid(told, count=len(faults))


def read_csv(content: bytes) -> list[Numbered]:
    """Lines by their numbers in the file; its first names the columns, in any order. Empty cells say nothing.

    Raises:
        ManifestInvalid: says what is wrong in which line.
    """
    reader = csv.reader(io.StringIO(_text(content), newline=""), strict=True)
    return _lines(_csv_values(reader), strict=False)


def read_json_lines(content: bytes) -> list[Numbered]:
    """
    Raises:
        ManifestInvalid: says what is wrong in which line.
    """
    lines = enumerate(_text(content).split("\n"), start=1)
    return _lines(((number, _json(line)) for number, line in lines if line.strip()), strict=True)


def _text(content: bytes) -> str:
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise manifest_invalid([LineFault(line, "Not UTF-8")]) from None
    if "\0" in text:
        raise manifest_invalid([LineFault(text.count("\n", 0, text.index("\0")) + 1, "Contains a NUL character")])
    return text


def _json(line: str) -> dict[str, Any] | str:
    """The object, or what is wrong with it."""
    try:
        return msgspec.json.decode(line, type=dict[str, Any])
    except msgspec.DecodeError as error:
        return f"Not a JSON object: {error}"
    except RecursionError:
        return "Nested too deeply"


def _csv_values(reader: Any) -> Iterator[tuple[int, dict[str, Any] | str]]:
    try:
        yield from _csv_lines(reader)
    except csv.Error as error:
        yield max(reader.line_num, 1), f"Not CSV: {error}"


def _csv_lines(reader: Any) -> Iterator[tuple[int, dict[str, Any] | str]]:
    names = [name.strip() for name in next(reader, [])]
    unknown = [name for name in names if name not in ManifestLine.__struct_fields__ and not _is_metadata(name)]
    if unknown or "metadata" in names or len(set(names)) < len(names):
        known = ", ".join(name for name in ManifestLine.__struct_fields__ if name != "metadata")
        wrong = ", ".join(unknown) or "a column twice, or metadata"
        yield 1, f"Expected columns of {known}, {METADATA_PREFIX}…; found {wrong}"
        return
    for cells in reader:
        if any(cells):
            yield reader.line_num, _csv_line(names, cells)


def _is_metadata(name: str) -> bool:
    return name.startswith(METADATA_PREFIX) and name != METADATA_PREFIX


def _csv_line(names: list[str], cells: list[str]) -> dict[str, Any] | str:
    if len(cells) != len(names):
        return f"Expected {len(names)} cells, found {len(cells)}"
    said = {name: cell.strip() for name, cell in zip(names, cells, strict=True) if cell.strip()}
    metadata = {
        name.removeprefix(METADATA_PREFIX): said.pop(name) for name in names if _is_metadata(name) and name in said
    }
    return {**said, "metadata": metadata}


def _lines(values: Iterator[tuple[int, dict[str, Any] | str]], *, strict: bool) -> list[Numbered]:
    lines: list[Numbered] = []
    faults: list[LineFault] = []
    for number, value in values:
        found = LineFault(number, value) if isinstance(value, str) else _line(number, value, strict=strict)
        if isinstance(found, LineFault):
            faults.append(found)
        else:
            lines.append((number, found))
        if len(lines) > LINES_LIMIT:
            raise manifest_invalid([LineFault(number, f"Expected at most {LINES_LIMIT} lines")])
    faults += _twice(lines)
    if faults:
        raise manifest_invalid(faults)
    if not lines:
        raise manifest_invalid([LineFault(1, "Expected at least one recording")])
    return lines


def _line(number: int, value: dict[str, Any], *, strict: bool) -> ManifestLine | LineFault:
    try:
        line = msgspec.convert(value, ManifestLine, strict=strict)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `$.")
        return LineFault(number, message, path.rstrip("`") or None)
    if (line.source_url is None) == (line.upload_id is None):
        return LineFault(number, "Give either source_url or upload_id")
    if len(msgspec.json.encode(line.metadata)) > ATTRIBUTES_LIMIT_BYTES:
        return LineFault(number, f"Expected at most {ATTRIBUTES_LIMIT_BYTES} bytes as JSON", "metadata")
    return line


def _twice(lines: list[Numbered]) -> Iterator[LineFault]:
    """An upload becomes one job."""
    seen: dict[uuid.UUID, int] = {}
    for number, line in lines:
        if line.upload_id is not None and seen.setdefault(line.upload_id, number) != number:
            yield LineFault(number, f"The same upload as in line {seen[line.upload_id]}", "upload_id")
