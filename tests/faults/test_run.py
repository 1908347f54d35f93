"""`earmark run`: everything comes up together, is kept up, and goes down together, however it ends."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.db.engine import Database
from app.db.migrations import upgrade
from app.db.uow import Store
from app.domain.jobs import JobKind
from app.services.models import NewModel, activate_model, register_model
from app.settings import Settings
from tests.support.families import family_of
from tests.support.outside import RecordingOutside
from tests.support.processes import free_port
from tests.support.waiting import is_alive, wait_until, wait_until_gone

pytestmark = pytest.mark.timeout(90)

ROOT = Path(__file__).resolve().parents[2]


class Run:
    """`earmark run` in a session of its own, as a terminal would start it."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.process = self.start(self.port)
        self.output: list[str] = []

    def start(self, port: int) -> subprocess.Popen[str]:
        env = {**os.environ, "EARMARK_DATA_DIR": str(self.data_dir), "EARMARK_PORT": str(port)}
        return subprocess.Popen(
            [sys.executable, "-m", "app.cli", "run"],
            cwd=ROOT,
            env=env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def read_until(self, pattern: str) -> str:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.output.append(line)
            if re.search(pattern, line):
                return line
        raise AssertionError(f"{pattern} did not come: {self.output}")

    def status_of(self, path: str) -> int:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=10) as response:
            return int(response.status)

    def family(self) -> dict[int, str]:
        """The supervisor's living children and grandchildren, with their command lines."""
        return family_of(self.process.pid)

    def wait_for_process(self, words: str, *, other_than: int = 0) -> int:
        def search() -> int:
            return next((pid for pid, command in self.family().items() if words in command and pid != other_than), 0)

        return wait_until(search, f"no process {words!r}")

    def end(self) -> None:
        for pid in (*self.family(), self.process.pid):
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        self.process.communicate()


async def prepare(data_dir: Path) -> None:
    """A database with an active model, so that no starter has to be built; its files are missing, which web does not mind."""
    settings = Settings(data_dir=data_dir)
    settings.prepare_data_dir()
    database = Database(settings.database_dsn)
    await upgrade(database)
    new = NewModel(kind=JobKind.GENRE, name="ccmusic", version="1", sha256="0" * 64, starter=False, card={})
    async with Store(database, RecordingOutside()).writing() as uow:
        await register_model(uow, new)
        await activate_model(uow, "ccmusic")
    await database.close()


@pytest.fixture
async def data_dir(tmp_path: Path) -> Path:
    await prepare(tmp_path / "data")
    return tmp_path / "data"


@pytest.fixture
def run(data_dir: Path) -> Iterator[Run]:
    run = Run(data_dir)
    yield run
    run.end()


def test_it_comes_up_and_ctrl_c_leaves_nothing_behind(run):
    run.read_until(rf"http://127\.0\.0\.1:{run.port}")
    run.read_until(rf"http://127\.0\.0\.1:{run.port}/sign-in/[\w-]+")
    assert run.status_of("/health/live") == 200
    run.wait_for_process("chores")
    family = run.family()
    run.process.send_signal(signal.SIGINT)
    rest, _ = run.process.communicate(timeout=40)
    assert run.process.returncode == 0, rest
    assert [pid for pid in family if is_alive(pid)] == []
    assert "Traceback" not in "".join(run.output) + rest


def test_one_request_that_arrives_twice_still_stops_in_good_order(run):
    """`make` passes SIGTERM on to us, who may have got it ourselves already."""
    run.read_until(rf"http://127\.0\.0\.1:{run.port}")
    run.process.send_signal(signal.SIGTERM)
    run.read_until("Stopping")
    run.process.send_signal(signal.SIGTERM)
    run.read_until("at once")  # what a second Ctrl-C would do
    rest, _ = run.process.communicate(timeout=40)
    assert run.process.returncode == 0, rest
    assert "Stopping at once" not in "".join(run.output) + rest


def test_a_second_run_on_the_same_data_is_refused(run):
    run.read_until("/sign-in/")
    second = run.start(free_port())
    output, _ = second.communicate(timeout=30)
    assert second.returncode == 2
    (line,) = output.splitlines()
    assert "EARMARK_DATA_DIR" in line
    assert str(run.process.pid) in line
    assert run.status_of("/health/live") == 200


def test_what_dies_is_started_again(run):
    run.read_until("/sign-in/")
    for words in ("valkey-server", "app.cli chores", "app.cli web"):
        pid = run.wait_for_process(words)
        os.kill(pid, signal.SIGKILL)
        wait_until_gone(pid)
        assert run.wait_for_process(words, other_than=pid) != pid
    wait_until(lambda: _answers(run), "web does not come back")


def test_nothing_outlives_a_supervisor_that_is_killed(run):
    run.read_until("/sign-in/")
    run.wait_for_process("chores")
    family = run.family()
    assert len(family) >= 4  # valkey, web and its worker process, chores
    run.process.kill()
    for pid in family:
        wait_until_gone(pid)


def _answers(run: Run) -> bool:
    try:
        return run.status_of("/health/live") == 200
    except OSError:
        return False
