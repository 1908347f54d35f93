"""Which files on this machine are recordings."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

SUFFIXES = frozenset({".mp3", ".wav", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".mp4", ".aac", ".webm"})


def recordings_in(folder: Path) -> list[Path]:
    """The recordings in a folder and the folders in it, by the ends of their names, sorted. Links are not followed."""
    found = []
    for parent, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in names if _is_recording(name)]
    return sorted(found)


def _is_recording(name: str) -> bool:
    return not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES


def recordings_of(paths: Iterable[Path]) -> list[Path]:
    """Files as they are named, whatever they are called; of folders the recordings in them. None twice."""
    found = [file for path in paths for file in (recordings_in(path) if path.is_dir() else [path])]
    return list(dict.fromkeys(found))
