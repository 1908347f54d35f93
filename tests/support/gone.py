"""Is a process gone?"""

from __future__ import annotations

import time
from pathlib import Path


def is_alive(pid: int) -> bool:
    """Zombies count as gone: whether somebody reaps them is not our business."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def wait_until_gone(pid: int, *, timeout_s: float = 20) -> None:
    """The kernel tells nobody but the parent, so this asks again and again."""
    deadline_s = time.monotonic() + timeout_s
    while is_alive(pid):
        assert time.monotonic() < deadline_s, f"process {pid} is still there"
        time.sleep(0.02)
