"""`make bench-manifest`: how long the server works on a manifest of 10,000 lines.

The application runs in this process, on SQLite in a folder of its own; the client's part of the work is small. The limit is on CPU time,
so that it holds on a busy machine too.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import httpx
import uvloop

from app.db.migrations import upgrade
from app.domain.api_keys import NewApiKey
from app.domain.manifests import LINES_LIMIT
from app.main import create_app
from app.resources import open_resources
from app.services.api_keys import create_api_key
from app.settings import Settings

_LIMIT_S = 5.0


def _manifest() -> bytes:
    lines = (f"https://files.example/archive/recording-{n}.flac,Morning {n}.flac,{n}" for n in range(LINES_LIMIT))
    return "\n".join(("source_url,name,metadata.catalogue_number", *lines)).encode()


async def _make_key(settings: Settings) -> str:
    async with open_resources(settings) as parts:
        await upgrade(parts.database)
        async with parts.store.writing() as uow:
            return (await create_api_key(uow, NewApiKey(name="bench"))).key


async def bench(data_dir: Path) -> float:
    """CPU seconds for one manifest."""
    settings = Settings(data_dir=data_dir)
    settings.prepare_data_dir()
    key = await _make_key(settings)
    app = create_app(settings)
    client = httpx.AsyncClient(
        transport=httpx.ASGITransport(app=cast("Any", app)),
        base_url=settings.base_url,
        headers={"authorization": f"Bearer {key}"},
        timeout=600,
    )
    async with app.lifespan(), client:
        batch = (await client.post("/api/v1/batches", json={"name": "bench"})).json()
        address, headers = f"/api/v1/batches/{batch['id']}/manifest", {"content-type": "text/csv"}
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        answer = await client.post(address, content=_manifest(), headers=headers)
        took_s, cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
    added = answer.json()["progress"]["queued"]
    print(f"{added:,} lines: {cpu_s:.1f} s of CPU (limit {_LIMIT_S:g} s), {took_s:.1f} s in all")
    return cpu_s


def main() -> None:
    with tempfile.TemporaryDirectory() as folder, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        cpu_s = runner.run(bench(Path(folder) / "data"))
    sys.exit(cpu_s > _LIMIT_S)


if __name__ == "__main__":
    main()
