"""What the web process is measured against: handlers that do nothing but the work itself, on the same server."""

from __future__ import annotations

import json
import os
import sys
import uuid
from pathlib import Path
from typing import Any

from granian import Granian
from granian.constants import Interfaces
from litestar import Litestar, Response, get

FOLDER = Path(os.environ.get("BENCH_FOLDER", "."))
CONSTANT = os.environ.get("BENCH_CONSTANT", "{}").encode()


async def upload(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Streams the body of a request to a file."""
    if scope["type"] != "http":
        return
    with (FOLDER / uuid.uuid4().hex).open("wb") as file:
        more = True
        while more:
            message = await receive()
            file.write(message.get("body", b""))
            more = message.get("more_body", False)
    answer = json.dumps({"stored": True}).encode()
    await send({"type": "http.response.start", "status": 202, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": answer})


@get("/")
async def constant() -> Response[bytes]:
    return Response(CONSTANT, media_type="application/json")


def application() -> Any:
    return upload if os.environ["BENCH_SERVER"] == "upload" else Litestar([constant], openapi_config=None)


if __name__ == "__main__":
    Granian(
        "tools.bare_servers:application",
        factory=True,
        interface=Interfaces.ASGI,
        address="127.0.0.1",
        port=int(sys.argv[1]),
        websockets=False,
        log_enabled=False,
    ).serve()
