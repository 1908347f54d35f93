"""Tells whether a SQLite file has changed, by whichever process, without reading it."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path
from urllib.parse import quote


class DataVersion:
    """A number that is another one after every commit; for the thread that asks first."""

    def __init__(self, database: Path) -> None:
        self._address = f"file:{quote(str(database))}?mode=ro"
        self._connection: sqlite3.Connection | None = None

    def current(self) -> int | None:
        """None: it can't be told at once. Never waits for anybody (https://sqlite.org/pragma.html#pragma_data_version)."""
        try:
            if self._connection is None:
                self._connection = sqlite3.connect(self._address, uri=True, timeout=0, isolation_level=None)
            (version,) = self._connection.execute("PRAGMA data_version").fetchone()
        except sqlite3.Error:
            self.close()
            return None
        return int(version)

    def close(self) -> None:
        if self._connection is not None:
            with contextlib.suppress(sqlite3.Error):
                self._connection.close()
        self._connection = None
