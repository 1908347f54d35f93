"""Clients that are generated from the description type-check, submit, wait and fetch a report."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from tests.support.clients import BIN, MP3, run, server_with_a_worker


def test_the_python_client_type_checks(python_client: Path):
    run(BIN / "mypy", "--strict", "--config-file=", "use.py", "page.py", "client", cwd=python_client)


async def _use(tmp_path: Path, folder: Path, *command: str | Path) -> list[str]:
    recording = tmp_path / "a.mp3"
    recording.write_bytes(MP3)
    async with server_with_a_worker(tmp_path / "data") as (address, key):
        said = await asyncio.to_thread(run, *command, address, key, recording, cwd=folder)
    return said.splitlines()


async def test_the_python_client_submits_waits_and_fetches_a_report(tmp_path: Path, python_client: Path):
    state, genre, code, *report = await _use(tmp_path, python_client, sys.executable, "use.py")
    assert (state, genre, code) == ("done", "soft_rock", "job_not_found")
    assert [line.count("a.mp3") for line in report] == [0, 1]


async def test_the_typescript_client_submits_waits_and_fetches_a_report(tmp_path: Path, typescript_client: Path):
    state, genre, code, *report = await _use(tmp_path, typescript_client, "node", "out/use.js")
    assert (state, genre, code) == ("done", "soft_rock", "job_not_found")
    assert [line.count("a.mp3") for line in report] == [0, 1]
