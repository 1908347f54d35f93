"""A sandboxed process that was taken over: asked once, it tries what it must not do and says what came of it."""

from __future__ import annotations

import ctypes
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from app.inference import audio  # noqa: F401  the same libraries are loaded as in a decoder
from app.inference.sandboxed import Work, serve

_PARENT = int(sys.argv[5]) if len(sys.argv) > 5 else os.getppid()
_libc = ctypes.CDLL(None, use_errno=True)


def _ptrace() -> None:
    attach = 16
    if _libc.ptrace(attach, _PARENT, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _raw(number: int) -> None:
    if _libc.syscall(ctypes.c_long(number), 0, 0, 0, 0) < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


TRIES: dict[str, Callable[[], object]] = {
    "open a network socket": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM),
    "open a datagram socket": lambda: socket.socket(socket.AF_INET6, socket.SOCK_DGRAM),
    "open a local socket": lambda: socket.socket(socket.AF_UNIX),
    "open a pair of sockets": socket.socketpair,
    "fork": os.fork,
    "start a program": lambda: subprocess.run(["/bin/true"], check=False),
    "become another program": lambda: os.execv("/bin/true", ["true"]),
    "kill its parent": lambda: os.kill(_PARENT, signal.SIGKILL),
    "watch its parent": _ptrace,
    "limit its parent": lambda: resource.prlimit(_PARENT, resource.RLIMIT_CPU, (1, 1)),
    "read a file of the system": Path("/etc/passwd").read_bytes,
    "read its parent's environment": lambda: Path(f"/proc/{_PARENT}/environ").read_bytes(),
    "read its parent's memory": lambda: Path(f"/proc/{_PARENT}/mem").read_bytes(),
    "list a folder": lambda: list(Path("/tmp").iterdir()),
    "make a file": lambda: Path("/tmp/earmark-intruder").touch(),
    "write to a file": lambda: os.open(__file__, os.O_WRONLY),
    "make a folder": lambda: Path("/tmp/earmark-intruder.d").mkdir(),
    "delete a file": lambda: Path("/tmp/earmark-intruder").unlink(),
    "make a link": lambda: Path("/tmp/earmark-intruder").symlink_to("/etc/passwd"),
    "change a file's mode": lambda: Path(__file__).chmod(0o777),
    "set up io_uring": lambda: _raw(425),
    "make a namespace": lambda: _raw(97 if os.uname().machine == "aarch64" else 272),
    "take another's descriptor": lambda: _raw(438),
}


def outcomes() -> dict[str, str]:
    found = {}
    for name, attempt in TRIES.items():
        try:
            attempt()
        except OSError as error:
            found[name] = error.strerror or "failed"
        else:
            found[name] = "done"
    return found


def _work_on(_: str) -> Work:
    def work() -> None:
        raise RuntimeError(json.dumps(outcomes()))

    return work  # type: ignore[return-value]


if __name__ == "__main__":
    sys.tracebacklimit = 0
    serve(_work_on)
