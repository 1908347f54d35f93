"""A real clamd that knows one virus: EICAR's test file, by a signature of our own, since nothing can be fetched here."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.support.processes import free_port

# Put together here, so that no scanner stumbles over this file.
EICAR = (r"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD" + "-ANTIVIRUS-TEST-FILE!$H+H*").encode()
SIGNATURE = "Earmark.Test.EICAR"
STREAM_LIMIT_BYTES = 1_000_000
_START_LIMIT_S = 30


@dataclass(frozen=True)
class Scanner:
    unix_url: str
    tcp_url: str


@contextmanager
def clamd(folder: Path) -> Iterator[Scanner]:
    """Listens on a socket in ``folder``, whose path must be short, and on a port."""
    database, socket, port = folder / "database", folder / "clamd.ctl", free_port()
    database.mkdir()
    (database / "earmark.ndb").write_text(f"{SIGNATURE}:0:*:{EICAR.hex()}\n")
    config = folder / "clamd.conf"
    config.write_text(
        f"""Foreground yes
LocalSocket {socket}
TCPAddr 127.0.0.1
TCPSocket {port}
DatabaseDirectory {database}
TemporaryDirectory {folder}
StreamMaxLength {STREAM_LIMIT_BYTES}
MaxThreads 2
SelfCheck 0
"""
    )
    command = ["/usr/sbin/clamd", "--config-file", str(config)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        _wait_for(socket, process)
        yield Scanner(f"unix://{socket}", f"tcp://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


def _wait_for(socket: Path, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _START_LIMIT_S
    while not socket.exists():
        assert process.poll() is None, f"clamd ended with {process.returncode}"
        assert time.monotonic() < deadline, "clamd does not start"
        time.sleep(0.02)
