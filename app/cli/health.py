"""`earmark health`: for the health commands of containers. Exit code 0: well; 1: not well, with one line that says why."""

from __future__ import annotations

import asyncio
import http.client
import socket

import click

from app.resources import open_resources
from app.services.workers import is_worker_ready
from app.settings import Settings, load_settings

_TIMEOUT_S = 3
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104  what a server listens on, a client can't connect to


class NotWell(click.ClickException):
    exit_code = 1


@click.group()
def health() -> None:
    """Is a process on this machine well?"""


@health.command()
def web() -> None:
    """The web process answers."""
    settings = load_settings()
    host = _EVERY_ADDRESS.get(settings.host, settings.host)
    connection = http.client.HTTPConnection(host, settings.port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/health/live")
        status = connection.getresponse().status
    except OSError as error:
        raise NotWell(f"nothing answers on {host}:{settings.port}: {error}") from error
    finally:
        connection.close()
    if status != http.client.OK:
        raise NotWell(f"{host}:{settings.port} answers with status {status}")


@health.command()
def worker() -> None:
    """A worker on this machine has its model loaded and has been heard of lately."""
    if not asyncio.run(_worker_ready(load_settings())):
        raise NotWell(f"no worker on {socket.gethostname()} is ready")


async def _worker_ready(settings: Settings) -> bool:
    async with open_resources(settings) as resources, resources.store.reading() as uow:
        return await is_worker_ready(uow, socket.gethostname())
