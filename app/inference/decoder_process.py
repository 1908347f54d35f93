"""A decoder process: it reads one file after another, each put into the same memory before it is asked."""

from __future__ import annotations

from functools import partial

from app.inference.audio import decode_file
from app.inference.sandboxed import serve

if __name__ == "__main__":
    serve(lambda path: partial(decode_file, path))
