"""Results as JAMS, the annotation format of music information retrieval: one document a recording.

Format: https://jams.readthedocs.io, schema of version 0.3; the genres are tags of the namespace ``tag_open``.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import AsyncIterator, Sequence
from typing import Any

import msgspec

from app import __version__
from app.db.models import Job
from app.domain.genres import GENRE_IDS
from app.domain.reports import TOP
from app.domain.results import GenreResult

_JAMS_VERSION = "0.3.5"


def jams_document(job: Job, reviewers: Sequence[str]) -> dict[str, Any]:
    """The JAMS object of a finished genre job: tags of the whole, tags of each window, and what people decided."""
    result = msgspec.convert(job.result, GenreResult)
    span_s = result.analysed_seconds
    whole = [_tag(0.0, span_s, score.genre, score.probability) for score in result.probabilities[:TOP]]
    windows = [
        _tag(window.start_s, window.end_s - window.start_s, *_most_likely(window.probabilities))
        for window in result.windows
    ]
    annotations = [_by_model(result, whole, "whole recording"), _by_model(result, windows, "windows")]
    if job.label is not None:
        annotations.append(_by_people(job.label, reviewers, span_s))
    return {
        "file_metadata": _file_metadata(job),
        "annotations": annotations,
        "sandbox": {"earmark": {"job_id": str(job.id), "tier": result.tier, "audible": result.audible}},
    }


def _most_likely(probabilities: Sequence[float]) -> tuple[str, float]:
    index = max(range(len(probabilities)), key=probabilities.__getitem__)
    return GENRE_IDS[index], probabilities[index]


def _tag(time_s: float, duration_s: float, genre: str, confidence: float | None) -> dict[str, Any]:
    return {"time": time_s, "duration": duration_s, "value": genre, "confidence": confidence}


def _annotation(metadata: dict[str, Any], data: list[dict[str, Any]]) -> dict[str, Any]:
    return {"annotation_metadata": metadata, "namespace": "tag_open", "data": data, "sandbox": {}}


def _by_model(result: GenreResult, data: list[dict[str, Any]], rules: str) -> dict[str, Any]:
    model = result.model
    metadata = {
        "annotation_tools": f"Earmark {__version__}",
        "annotation_rules": rules,
        "annotator": {"model": model.name, "sha256": model.sha256, "starter": model.starter},
        "version": model.version,
        "data_source": "program",
    }
    return _annotation(metadata, data)


def _by_people(label: str, reviewers: Sequence[str], span_s: float) -> dict[str, Any]:
    metadata = {
        "annotation_tools": f"Earmark {__version__}",
        "annotation_rules": "whole recording",
        "annotator": {"names": list(reviewers)},
        "data_source": "manual",
    }
    return _annotation(metadata, [_tag(0.0, span_s, label, None)])


def _file_metadata(job: Job) -> dict[str, Any]:
    asset = job.asset
    known = {"title": asset.title, "artist": asset.artist, "duration": asset.duration_s}
    return {
        **{name: value for name, value in known.items() if value is not None},
        "identifiers": {"sha256": asset.sha256, "file": asset.name},
        "jams_version": _JAMS_VERSION,
    }


class _Outlet(io.RawIOBase):
    """Where an archive is written to that is sent while it grows."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._pending += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._pending)
        self._pending.clear()
        return taken


async def jams_archive(
    pages: AsyncIterator[Sequence[tuple[Job, Sequence[str]]]],
) -> AsyncIterator[bytes]:
    """A ZIP of one JAMS document for each finished job, named by its id."""
    outlet = _Outlet()
    with zipfile.ZipFile(outlet, "w", zipfile.ZIP_DEFLATED) as archive:
        async for page in pages:
            for job, reviewers in page:
                archive.writestr(f"{job.id}.jams", msgspec.json.encode(jams_document(job, reviewers)))
            yield outlet.take()
    yield outlet.take()
