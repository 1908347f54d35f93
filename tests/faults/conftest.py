from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.domain.permissions import Principal
from tests.support.factories import make_principal
from tests.support.installation import Installation, open_installation


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    async with open_installation(tmp_path / "data") as installation:
        yield installation


@pytest.fixture
async def principal(installation: Installation) -> Principal:
    return await make_principal(installation.parts.store)
