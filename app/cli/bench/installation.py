"""A whole installation in a folder of its own, for benches that measure real processes."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import datetime
from pathlib import Path

import httpx2
from click import ClickException

from app.cli.ports import free_port
from app.inference.bundle import Bundle
from app.integrations.parents import dying_with_parent
from app.integrations.valkey import EmbeddedValkey

_PATIENCE_S = 120
_POLL_S = 0.02
_STOP_S = 60


class Installation:
    """``precision`` as in the settings. Valkey runs from its beginning to its end; everything else is started by name."""

    def __init__(self, data_dir: Path, precision: str, valkey_pid: int) -> None:
        self.data_dir = data_dir
        self.valkey_pid = valkey_pid
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        own = {name: value for name, value in os.environ.items() if not _is_left_out(name)}
        self._environment = {
            **own,
            "EARMARK_DATA_DIR": str(data_dir),
            "EARMARK_PORT": str(self.port),
            "EARMARK_PRECISION": precision,
            "EARMARK_LOG_FORMAT": "json",
        }

    def command(self, *arguments: str) -> str:
        """Run ``earmark ARGUMENTS`` to its end; returns what it printed."""
        ended = subprocess.run(
            [sys.executable, "-m", "app.cli", *arguments],
            env=self._environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if ended.returncode != 0:
            raise ClickException(f"earmark {' '.join(arguments)}: {ended.stderr.strip() or ended.returncode}")
        return ended.stdout.strip()

    @contextmanager
    def process(self, name: str, *, cores: Sequence[int] | None = None, **settings: str) -> Iterator[Process]:
        """``earmark NAME``, on these cores only; stopped at the end."""
        extra = {f"EARMARK_{key.upper()}": value for key, value in settings.items()}
        prepare = dying_with_parent()

        def pinned() -> None:
            prepare()
            if cores is not None:
                os.sched_setaffinity(0, cores)

        log = self.data_dir / f"{name}-{time.monotonic_ns()}.log"
        with log.open("wb") as output:
            started_s = time.perf_counter()
            process = subprocess.Popen(
                [sys.executable, "-m", "app.cli", name],
                env={**self._environment, **extra},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                preexec_fn=pinned,  # noqa: PLW1509  prctl and sched_setaffinity are all it does
            )
        try:
            yield Process(process, log, started_s)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def wait_for_web(self) -> None:
        with httpx2.Client() as client:
            _until(lambda: _answers(client, f"{self.base_url}/health/ready"), "earmark web does not answer")

    def finished(self) -> list[tuple[float, float]]:
        """When each job that is done was created and finished, in seconds."""
        with closing(sqlite3.connect(f"file:{self.data_dir / 'earmark.db'}?mode=ro", uri=True)) as database:
            rows = database.execute("SELECT created_at, finished_at FROM jobs WHERE lower(state) = 'done'").fetchall()
        return [(_seconds(created), _seconds(finished)) for created, finished in rows]

    def wait_until_finished(self, count: int, process: Process) -> list[tuple[float, float]]:
        found: list[tuple[float, float]] = []

        def all_done() -> bool:
            nonlocal found
            found = self.finished()
            return len(found) >= count

        _until(all_done, "the jobs do not end", process=process, patience_s=_PATIENCE_S + 5 * count, poll_s=0.2)
        return found


class Process:
    """A running ``earmark`` process and its log."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path, started_s: float) -> None:
        self._process = process
        self._log = log
        self._started_s = started_s

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    def wait_for_line(self, event: str) -> float:
        """Wait for an event in the log; returns the seconds since the start."""
        _until(lambda: self._has(event), f"no {event!r} in the log: {self.tail()}", process=self)
        return time.perf_counter() - self._started_s

    def tail(self) -> str:
        return self._log.read_text(errors="replace")[-2_000:]

    def _has(self, event: str) -> bool:
        return f'"event": {json.dumps(event)}'.replace(" ", "") in self._log.read_text(errors="replace").replace(
            " ", ""
        )


@contextmanager
def installation(data_dir: Path, bundle: Bundle, precision: str) -> Iterator[Installation]:
    """An installation whose active model is ``bundle``, with its database and Valkey ready."""
    copy = data_dir / "models" / bundle.card.name / bundle.card.version
    copy.parent.mkdir(parents=True)
    shutil.copytree(bundle.path, copy, copy_function=_link_or_copy)
    valkey = EmbeddedValkey(data_dir)
    valkey.start()
    try:
        assert valkey.pid is not None
        found = Installation(data_dir, precision, valkey.pid)
        found.command("db", "upgrade")
        found.command("model", "activate", f"{bundle.card.name}/{bundle.card.version}")
        yield found
    finally:
        valkey.stop()


def _is_left_out(name: str) -> bool:
    """Settings of another installation, and what would have every process compile all modules anew."""
    return name.startswith("EARMARK_") or name == "PYTHONDONTWRITEBYTECODE"


def _link_or_copy(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)


def _until(
    true: Callable[[], bool],
    problem: str,
    *,
    process: Process | None = None,
    patience_s: float = _PATIENCE_S,
    poll_s: float = _POLL_S,
) -> None:
    deadline_s = time.monotonic() + patience_s
    while not true():
        if process is not None and process.ended:
            raise ClickException(f"a process of the bench ended: {process.tail()}")
        if time.monotonic() > deadline_s:
            raise ClickException(problem)
        time.sleep(poll_s)


def _seconds(written: str) -> float:
    return datetime.fromisoformat(written).timestamp()


def _answers(client: httpx2.Client, address: str) -> bool:
    try:
        return client.get(address).status_code == httpx2.codes.OK
    except httpx2.HTTPError:
        return False
