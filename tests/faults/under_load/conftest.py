from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.service import Service
from tests.support.under_load import UnderLoad, under_load


@pytest.fixture
async def busy(tmp_path: Path) -> AsyncIterator[UnderLoad]:
    """The embedded default, as `earmark run` gives it."""
    async with under_load(Service(tmp_path / "data")) as it:
        yield it
