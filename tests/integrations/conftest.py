from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.integrations.valkey import EmbeddedValkey


@pytest.fixture
def valkey(tmp_path: Path) -> Iterator[EmbeddedValkey]:
    server = EmbeddedValkey(tmp_path / "data folder")
    server.start()
    yield server
    server.stop()
