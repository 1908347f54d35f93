"""The command ``earmark``, also called ``python -m app.cli``."""

from __future__ import annotations

import atexit
import os
import sys

from app.cli import main


def start() -> None:
    """Run the command. Its process then ends at once: the interpreter isn't taken down first.

    A thread of obstore may hold objects of Python a moment longer than the call it served. CPython ends threads that
    want the interpreter while it is taken down, and Rust answers that with an abort: the command had done all its work,
    but its exit code said that it failed.
    """
    exit_code = 1

    def leave() -> None:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(exit_code)

    atexit.register(leave)  # the first to be registered is called last
    try:
        main(prog_name="earmark")
    except SystemExit as ended:
        exit_code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
        raise


if __name__ == "__main__":
    start()
