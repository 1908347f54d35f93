"""`earmark batch` against a real server: interrupted, refused, retried, and never a job twice."""

from __future__ import annotations

import asyncio
import csv
import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select

from app.db.models import Asset, Batch, Job
from tests.support.installation import CHORES, ROOT, STAND_IN_WORKER, Installation
from tests.support.processes import free_port, wait_for_port
from tests.support.stand_in_worker import order
from tests.support.web import make_key

FILES = 1000
_PATIENCE_S = 120


def recording(number: int, do: str = "done") -> bytes:
    """A FLAC by its first bytes; the worker's stand-in reads its last line."""
    return b"fLaC\n%d\n" % number + order(do)


def fill(folder: Path, count: int) -> None:
    for number in range(count):
        path = folder / f"{number % 10}" / f"{number:04}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(recording(number))


class Server:
    """An installation that serves its API and works; ``command`` runs `earmark batch` as somebody with a key."""

    def __init__(self, installation: Installation, port: int, key: str, folder: Path) -> None:
        self.installation = installation
        self.url = f"http://127.0.0.1:{port}"
        self.key = key
        self.folder = folder
        self.report = folder.parent / "report.csv"

    def start(self, *options: str, **settings: str) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "app.cli", "batch", str(self.folder), "--csv", str(self.report), *options]
        environment = {"EARMARK_URL": self.url, "EARMARK_API_KEY": self.key, **settings}
        return subprocess.Popen(
            command,
            cwd=ROOT,
            env={**os.environ, **environment},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    async def run(self, *options: str, **settings: str) -> tuple[int, str]:
        process = self.start(*options, **settings)
        output, _ = await asyncio.to_thread(process.communicate, timeout=_PATIENCE_S)
        return process.returncode, output

    async def jobs(self) -> int:
        async with self.installation.parts.store.reading() as uow:
            return await uow.session.scalar(select(func.count()).select_from(Job)) or 0

    async def wait_for_jobs(self, count: int) -> None:
        async with asyncio.timeout(_PATIENCE_S):
            while await self.jobs() < count:  # noqa: ASYNC110  another process makes them
                await asyncio.sleep(0.02)

    def lines(self) -> list[dict[str, str]]:
        with self.report.open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))


@pytest.fixture
async def server(installation: Installation, tmp_path: Path) -> AsyncIterator[Server]:
    key = await make_key(installation.parts)
    port = free_port()
    (tmp_path / "music").mkdir()
    web = [sys.executable, "-m", "app.cli", "web"]
    limits = '{"uploader": 1000000}'
    with (
        installation.process(web, port=str(port), rate_limits=limits, log_level="error"),
        installation.process(STAND_IN_WORKER, log_level="error"),
        installation.process(CHORES, log_level="error"),
    ):
        await asyncio.to_thread(wait_for_port, port)
        await installation.wait_for_ready_worker()
        yield Server(installation, port, key, tmp_path / "music")


@pytest.mark.timeout(240)
async def test_a_thousand_files_interrupted_twice(server: Server):
    fill(server.folder, FILES)
    for number, name in ((150, signal.SIGINT), (500, signal.SIGKILL)):
        process = server.start("--resume", "--workers", "6")
        await server.wait_for_jobs(number)
        process.send_signal(name)
        output, _ = await asyncio.to_thread(process.communicate, timeout=_PATIENCE_S)
        assert process.returncode == (130 if name is signal.SIGINT else -9), output
    code, output = await server.run("--resume", "--workers", "6")
    assert code == 0, output
    lines = server.lines()
    assert len(lines) == FILES
    assert Counter(line["file"] for line in lines).most_common(1)[0][1] == 1
    assert len({line["job_id"] for line in lines}) == FILES
    assert {(line["state"], line["top_1"], line["confident"], line["error"]) for line in lines} == {
        ("done", "symphony", "yes", "")
    }
    async with server.installation.parts.store.reading() as uow:
        counts = [await uow.session.scalar(select(func.count()).select_from(table)) for table in (Job, Asset, Batch)]
        finished = await uow.session.scalar(select(Batch.finished_at))
    assert counts == [FILES, FILES, 1]
    assert finished is not None
    assert not server.report.with_name("report.csv.state").exists()


async def test_failures_are_listed_and_told_by_the_exit_code(server: Server):
    (server.folder / "good.flac").write_bytes(recording(1))
    (server.folder / "=corrupt.flac").write_bytes(recording(2, "corrupt"))
    (server.folder / "boom.flac").write_bytes(recording(3, "boom"))
    (server.folder / "text.mp3").write_text("no audio")
    (server.folder / "empty.wav").touch()
    (server.folder / "notes.txt").write_text("not even called audio")
    (server.folder / "gone.ogg").symlink_to(server.folder / "nowhere")
    code, output = await server.run(EARMARK_API_KEY="emk_wrong")
    assert (code, "is unknown" in output, "Traceback" in output) == (1, True, False), output
    code, output = await server.run("--resume", "--min-confidence", "0.9", "--retries", "2")
    assert code == 1, output
    lines = {line["file"]: line for line in server.lines()}
    assert {name: (line["state"], line["error"]) for name, line in lines.items()} == {
        "good.flac": ("done", ""),
        "'=corrupt.flac": ("failed", "audio_corrupt"),
        "boom.flac": ("failed", "internal"),
        "text.mp3": ("failed", "unsupported_audio"),
        "empty.wav": ("failed", "file_empty"),
        "gone.ogg": ("failed", "unreadable: No such file or directory"),
    }
    assert (lines["good.flac"]["probability"], lines["good.flac"]["confident"]) == ("0.85", "no")
    assert "1 of 6 files" in output
    async with server.installation.parts.store.reading() as uow:
        attempts = await uow.session.execute(select(Asset.name, Job.attempt).join(Job.asset))
    assert dict(attempts.all()) == {
        "good.flac": 1,
        "=corrupt.flac": 1,
        "boom.flac": 3,
    }  # what may work: tried again


def earmark_batch(*arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "app.cli", "batch", *arguments]
    environment = {**os.environ, **settings}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=50, check=False)


def test_a_server_that_is_not_there(tmp_path: Path):
    (tmp_path / "a.mp3").touch()
    arguments = (str(tmp_path), "--csv", str(tmp_path / "r.csv"), "--retries", "1")
    result = earmark_batch(*arguments, EARMARK_URL=f"http://127.0.0.1:{free_port()}", EARMARK_API_KEY="emk_x")
    assert result.returncode == 1
    assert "--resume" in result.stderr
    assert "Traceback" not in result.stderr


def test_an_interrupted_run_is_not_begun_anew_by_mistake(tmp_path: Path):
    (tmp_path / "a.mp3").touch()
    (tmp_path / "r.csv.state").write_text("anything")
    arguments = (str(tmp_path), "--csv", str(tmp_path / "r.csv"))
    result = earmark_batch(*arguments, EARMARK_API_KEY="emk_x")
    assert (result.returncode, "--resume" in result.stderr) == (2, True)
    result = earmark_batch(*arguments, "--resume", EARMARK_API_KEY="emk_x")
    assert (result.returncode, "can't be read" in result.stderr) == (2, True)


def test_nothing_to_send_or_no_key(tmp_path: Path):
    assert "EARMARK_API_KEY" in earmark_batch(str(tmp_path)).stderr
    result = earmark_batch(str(tmp_path), EARMARK_API_KEY="emk_x")
    assert (result.returncode, "no recordings" in result.stderr) == (2, True)
