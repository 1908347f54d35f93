from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from app.db.migrations import upgrade
from app.domain.permissions import Principal
from app.integrations.progress import Progress
from app.integrations.valkey import EmbeddedValkey
from app.resources import open_resources
from app.settings import Settings
from tests.support.factories import make_principal
from tests.support.installation import Installation


@pytest.fixture
async def installation(tmp_path: Path) -> AsyncIterator[Installation]:
    data_dir = tmp_path / "data"
    settings = Settings(data_dir=data_dir)
    settings.prepare_data_dir()
    valkey = EmbeddedValkey(data_dir)
    valkey.start()
    progress = Progress(valkey.url)
    await progress.start()
    async with open_resources(settings) as parts:
        await upgrade(parts.database)
        yield Installation(data_dir, valkey, parts, progress)
    await progress.close()
    valkey.stop()


@pytest.fixture
async def principal(installation: Installation) -> Principal:
    return await make_principal(installation.parts.store)
