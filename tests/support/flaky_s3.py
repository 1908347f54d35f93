"""An S3 server of which every third call fails or is slow, or which is full: moto's, behind a gate. Run as a program with a port.

Standard input tells it how to be, a line each: well, failing, slow or full.
"""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Callable, Iterable
from typing import Any

from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import run_simple

_SLOW_S = 2.0
_EVERY = 3
_Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Gate:
    """Lets requests through, as its mood is."""

    def __init__(self, behind: _Wsgi) -> None:
        self.mood = "well"
        self._behind = behind
        self._calls = itertools.count(1)

    def __call__(self, environ: dict[str, Any], start: Callable[..., Any]) -> Iterable[bytes]:
        third = next(self._calls) % _EVERY == 0
        if self.mood == "full" and environ["REQUEST_METHOD"] in ("PUT", "POST"):
            return _refuse(start, "507 Insufficient Storage", "XMinioStorageFull")
        if self.mood == "failing" and third:
            return _refuse(start, "503 Slow Down", "SlowDown")
        if self.mood == "slow" and third:
            time.sleep(_SLOW_S)
        return self._behind(environ, start)

    def obey(self) -> None:
        for line in sys.stdin:
            self.mood = line.strip()


def _refuse(start: Callable[..., Any], status: str, code: str) -> Iterable[bytes]:
    start(status, [("content-type", "application/xml")])
    return [f"<Error><Code>{code}</Code></Error>".encode()]


if __name__ == "__main__":
    gate = Gate(DomainDispatcherApplication(create_backend_app))
    threading.Thread(target=gate.obey, daemon=True).start()
    run_simple("127.0.0.1", int(sys.argv[1]), gate, threaded=True)
