"""A decoder process for one whole recording: it gives the next stretch each time it is asked."""

from __future__ import annotations

from functools import partial

from app.inference.sandboxed import serve
from app.inference.stretches import read_stretches

if __name__ == "__main__":
    serve(lambda path: partial(next, read_stretches(path)))
