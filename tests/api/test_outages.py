"""Database or storage out of reach: a clear 503, one line in the log, and no traceback."""

from __future__ import annotations

import dataclasses

import httpx
import pytest
from litestar import Litestar
from structlog.testing import capture_logs

from app.db.engine import Database
from app.db.uow import Store
from app.integrations.files import Files, s3_files
from app.routes.deps import WebParts
from tests.support.outside import RecordingOutside
from tests.support.processes import free_port
from tests.support.web import assert_problem, rows

MP3 = {"file": ("a.mp3", b"ID3" + bytes(4000), "audio/mpeg")}


def _files_nowhere() -> Files:
    endpoint = f"http://127.0.0.1:{free_port()}"
    return s3_files("s3://music", endpoint=endpoint, region="x", access_key_id="x", secret_access_key="y")


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_without_the_database(app: Litestar, api: httpx.AsyncClient, parts: WebParts, tmp_path, *, kind: str):
    nowhere = {
        "sqlite": f"sqlite+aiosqlite:///{tmp_path / 'no' / 'such.db'}",
        "postgres": f"postgresql+asyncpg://u:secret-word@127.0.0.1:{free_port()}/earmark",
    }
    database = Database(nowhere[kind])
    app.state.parts = dataclasses.replace(parts, store=Store(database, RecordingOutside()))
    with capture_logs() as lines:
        answer = await api.get("/api/v1/jobs")
    assert_problem(answer, 503, "unavailable")
    assert int(answer.headers["retry-after"]) > 0
    [line] = [line for line in lines if line["log_level"] == "error"]
    assert "exc_info" not in line
    assert "secret-word" not in f"{lines}"
    await database.close()


async def test_without_the_storage(app: Litestar, api: httpx.AsyncClient, parts: WebParts):
    app.state.parts = dataclasses.replace(parts, files=_files_nowhere())
    with capture_logs() as lines:
        answer = await api.post("/api/v1/jobs", files=MP3)
    assert_problem(answer, 503, "unavailable")
    assert await rows(parts) == (0, 0)
    assert len([line for line in lines if line["log_level"] == "error"]) == 1
