"""The metrics of a process that serves no HTTP otherwise, on a port of their own."""

from __future__ import annotations

import hmac
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from prometheus_client import make_wsgi_app

_Environment = dict[str, Any]
_Application = Callable[[_Environment, Callable[..., Any]], Iterable[bytes]]
# Of a client that connects and says nothing: scrapes are answered one at a time.
_SILENCE_S = 5.0


class _QuietHandler(WSGIRequestHandler):
    timeout = _SILENCE_S

    def log_message(self, *_: object) -> None:
        """Scrapes are not worth a line in the log."""


def _guarded(application: _Application, token: str) -> _Application:
    def guarded(environment: _Environment, start: Callable[..., Any]) -> Iterable[bytes]:
        said = environment.get("HTTP_AUTHORIZATION", "")
        if hmac.compare_digest(said.encode(), f"Bearer {token}".encode()):
            return application(environment, start)
        status = HTTPStatus.UNAUTHORIZED
        start(f"{status.value} {status.phrase}", [("WWW-Authenticate", "Bearer"), ("Content-Length", "0")])
        return []

    return guarded


@contextmanager
def serving_metrics(host: str, port: int, *, token: str | None) -> Iterator[int]:
    """Answer ``/metrics`` in a thread of its own until the context ends; yields the port.

    Raises:
        OSError: the address can't be listened on.
    """
    application: _Application = make_wsgi_app()
    if token is not None:
        application = _guarded(application, token)
    with make_server(host, port, application, WSGIServer, _QuietHandler) as server:
        thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()
