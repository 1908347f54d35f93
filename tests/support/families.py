"""Processes and what they hold, as the kernel sees them."""

from __future__ import annotations

import os
from pathlib import Path

from tests.support.waiting import is_alive

_ESTABLISHED, _CLOSE_WAIT = "01", "08"  # include/net/tcp_states.h


def children_of(pid: int) -> list[int]:
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return [int(child) for task in tasks for child in (task / "children").read_text().split()]
    except OSError:
        return []


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def family_of(pid: int) -> dict[int, str]:
    """The living children and grandchildren of a process, with their command lines."""
    found: dict[int, str] = {}
    parents = {pid}
    while parents:
        children = {child for parent in parents for child in children_of(parent)} - found.keys()
        found |= {child: command_of(child) for child in children}
        parents = children
    return {child: command for child, command in found.items() if is_alive(child)}


def working_on(data_dir: Path) -> dict[int, str]:
    """Living processes other than this one that have the folder in their environment, with their command lines."""
    found: dict[int, str] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        pid = int(entry.name)
        try:
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if f"={data_dir}\0".encode() in environment and pid != os.getpid() and is_alive(pid):
            found[pid] = command_of(pid)
    return found


def connections_to(port: int) -> int:
    """Connections that a server on this port of the loopback still holds open."""
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] in (_ESTABLISHED, _CLOSE_WAIT) for row in rows)


def resident_bytes(pid: int) -> int:
    """Memory of the process that is not on disk; what it shares with others counts too."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":" in line)
    return int(fields["VmRSS"].split()[0]) * 1024
