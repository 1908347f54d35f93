"""Every code block of docs/api.md runs, one after the other, as a reader would run them."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from tests.support.clients import BIN, MP3, run, server_with_a_worker


async def test_every_block_of_the_page_runs(
    tmp_path: Path, blocks: list[tuple[str, str]], python_client: Path, typescript_client: Path
):
    data_dir = tmp_path / "data"
    commands = {"python": f"PYTHONPATH={python_client} python {python_client}/page.py\n"}
    commands["typescript"] = f"node {typescript_client}/out/page.js\n"
    assert {language for language, _ in blocks} == {"bash", *commands}
    script = "\n".join(["set -euo pipefail", *(commands.get(language, block) for language, block in blocks)])
    (tmp_path / "morning.mp3").write_bytes(MP3)
    async with server_with_a_worker(data_dir) as (address, _):
        environment = os.environ | {"EARMARK_URL": address, "EARMARK_DATA_DIR": str(data_dir)}
        environment["PATH"] = f"{BIN}:{environment['PATH']}"
        said = await asyncio.to_thread(run, "bash", "-c", script, cwd=tmp_path, env=environment)
    assert said.count("morning.mp3 soft_rock") == 2
    assert '"state":"done"' in said
    assert '"deduplicated":false' in said
    assert "file,title,artist" in said
    assert "validation_failed" in said
