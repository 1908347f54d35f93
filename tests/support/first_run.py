"""`make run` as a user types it, on an empty data folder."""

from __future__ import annotations

import os
import queue
import re
import signal
import subprocess
import threading
from pathlib import Path

from tests.support.processes import free_port

ROOT = Path(__file__).resolve().parents[2]
# The starter model is built at the first start; a slow machine may take its time.
_START_LIMIT_S = 420
_STOP_LIMIT_S = 60


class FirstRun:
    """Earmark as started by `make run`; ``start`` and ``stop`` may be repeated on the same data folder."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self.port = free_port()
        self.base_url = f"http://127.0.0.1:{self.port}"
        self.env = {**os.environ, "EARMARK_DATA_DIR": str(data_dir), "EARMARK_PORT": str(self.port)}
        self.sign_in_link = ""
        self.output: list[str] = []
        self._process: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    def start(self) -> None:
        """Returns once the sign-in link has been printed."""
        self._process = subprocess.Popen(
            ["make", "--no-print-directory", "run"],
            cwd=ROOT,
            env=self.env,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )
        links: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, args=(self._process, links), daemon=True)
        self._reader.start()
        self.sign_in_link = links.get(timeout=_START_LIMIT_S)
        assert self.sign_in_link, "".join(self.output)

    def _read(self, process: subprocess.Popen[str], links: queue.Queue[str]) -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                self.output.append(line)
                if link := re.search(rf"{re.escape(self.base_url)}/sign-in/[\w-]+", line):
                    links.put(link.group())
        links.put("")  # the process has ended: whoever waits for a link gets none

    def interrupt(self) -> None:
        """Ctrl-C at the terminal: the whole foreground group gets the signal. Returns when all have ended."""
        assert self._process is not None
        assert self._reader is not None
        os.killpg(self._process.pid, signal.SIGINT)
        self._process.wait(timeout=_STOP_LIMIT_S)  # make itself ends by the signal, as it always does
        self._reader.join(timeout=_STOP_LIMIT_S)

    def remains(self) -> list[str]:
        """Command lines of processes that work on this data folder."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            try:
                environment = (entry / "environ").read_bytes()
                command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
            if str(self.data_dir).encode() in environment and int(entry.name) != os.getpid():
                found.append(command)
        return [command for command in found if command]

    def kill(self) -> None:
        """Whatever state it is in: end it."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(timeout=_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        if self._reader is not None:
            self._reader.join(timeout=_STOP_LIMIT_S)

    def run(self, *arguments: str) -> str:
        """Output of `earmark …` with the same settings."""
        command = [str(ROOT / ".venv" / "bin" / "earmark"), *arguments]
        return subprocess.run(command, env=self.env, cwd=ROOT, check=True, capture_output=True, text=True).stdout
