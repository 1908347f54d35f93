"""Ports: is the one that was asked for free, and which one is."""

from __future__ import annotations

import errno
import socket

from app.settings import PREFIX, Settings, SettingsError


def free_port() -> int:
    """A port of this machine that nobody listens on; who wants it had better take it soon."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def check_port(settings: Settings) -> None:
    """Bind the address for a moment, as the web process will: asked before anything is started, the answer is one clear line.

    Raises:
        SettingsError: it can't be bound; names the variable to change.
    """
    where = f"port {settings.port} on {settings.host}"
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            settings.host, settings.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        raise SettingsError(_explain(error, settings, where)) from error


def _explain(error: OSError, settings: Settings, where: str) -> str:
    if error.errno == errno.EADDRINUSE:
        return f"{PREFIX}PORT: {where} is taken by another program: stop it or choose another port"
    if error.errno == errno.EACCES:
        return f"{PREFIX}PORT: {where} needs privileges that this user does not have: choose one above 1023"
    return f"{PREFIX}HOST: can't listen on {settings.host}: {error.strerror or error}"
