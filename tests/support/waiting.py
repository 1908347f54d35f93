"""Wait for what nobody tells us of: the end of a process that is not our child, an answer, a new process."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

T = TypeVar("T")


def wait_until(question: Callable[[], T], complaint: str, *, timeout_s: float = 30) -> T:
    """Ask again and again until the answer is true; returns it."""
    deadline_s = time.monotonic() + timeout_s
    while not (answer := question()):
        assert time.monotonic() < deadline_s, complaint
        time.sleep(0.02)
    return answer


def is_alive(pid: int) -> bool:
    """Zombies count as gone: whether somebody reaps them is not our business."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int) -> None:
    wait_until(lambda: not is_alive(pid), f"process {pid} is still there")
