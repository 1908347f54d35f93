"""An S3 server: moto's, spoken to over HTTP like any other."""

from __future__ import annotations

import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.support.processes import free_port, serving

BUCKET = "earmark"


@contextmanager
def s3_server() -> Iterator[str]:
    """Address of a server with one empty bucket. moto takes any key."""
    port = free_port()
    address = f"http://127.0.0.1:{port}"
    with serving([sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)], port):
        urllib.request.urlopen(urllib.request.Request(f"{address}/{BUCKET}", method="PUT"), timeout=10).close()
        yield address
