"""The portal's own scripts, styles and pictures, under an address that changes with their content."""

from __future__ import annotations

import hashlib
from pathlib import Path

from litestar import Router
from litestar.datastructures import CacheControlHeader
from litestar.static_files import create_static_files_router

from app.routes.guards import UNASKED, public

STATIC_PREFIX = "/static"
_YEAR_S = 365 * 24 * 3600


def version_of(folder: Path) -> str:
    """A short hash over names and contents."""
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        digest.update(f"{path.relative_to(folder)}\0{path.stat().st_size}\0".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


def static_path(version: str, path: str) -> str:
    """The version is part of the folder, so scripts and styles that name each other relatively get it too."""
    return f"{STATIC_PREFIX}/{version}/{path}"


def static_router(folder: Path, version: str) -> Router:
    return create_static_files_router(
        f"{STATIC_PREFIX}/{version}",
        [folder],
        cache_control=CacheControlHeader(max_age=_YEAR_S, public=True, immutable=True),
        opt={**public("scripts and styles hold no data"), UNASKED: True},
    )
