"""How a command's process ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]

# A command that ends while the storage still works for it.
UNFINISHED = """
import asyncio, sys
import click, obstore
from app.cli import __main__ as entry
from obstore.store import LocalStore

async def store_some(folder):
    puts = [obstore.put_async(LocalStore(folder), f"audio/{n}", b"ID3" * 400) for n in range(100)]
    await asyncio.wait(map(asyncio.ensure_future, puts), return_when=asyncio.FIRST_COMPLETED)

@click.command()
@click.argument("folder")
@click.argument("exit_code", type=int)
def unfinished(folder, exit_code):
    asyncio.run(store_some(folder))
    print("done", end="")
    sys.exit(exit_code)

entry.main = unfinished
entry.start()
"""


def test_a_command_that_is_done_is_not_failed_by_threads_that_are_not(tmp_path):
    for exit_code in (0, 0, 0, 0, 3):
        command = [sys.executable, "-c", UNFINISHED, str(tmp_path), str(exit_code)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=50)
        assert (done.returncode, done.stdout) == (exit_code, "done"), done.stderr
