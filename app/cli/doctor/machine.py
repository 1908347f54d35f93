"""This machine: folders and their permissions, disk, memory, limits."""

from __future__ import annotations

import os
import resource
import shutil
import stat
import tempfile
from pathlib import Path

from app.cli.doctor.findings import Finding, ok, warning, wrong
from app.settings import PREFIX, Settings

_MEMINFO = Path("/proc/meminfo")
_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")
# A worker with the model takes up to 2.5 GB, a web process 0.2 GB, and the database and the decoders want some too.
_WORKER_BYTES = 4 * 2**30
_FEWEST_FILES = 1024
_LOW_DISK_SHARE, _FULL_DISK_SHARE = 0.10, 0.03


async def examine_machine(settings: Settings) -> list[Finding]:
    return [*_folders(settings), *_disk(settings.data_dir), _memory(_available_bytes()), _open_files()]


# --- folders


def _folders(settings: Settings) -> list[Finding]:
    folders = {
        f"{PREFIX}DATA_DIR": settings.data_dir,
        f"{PREFIX}MODELS_DIR": settings.bundles_dir,
        **({} if settings.storage_url else {"folder of the files": settings.storage_dir}),
    }
    found = [_folder(name, folder.resolve()) for name, folder in folders.items()]
    key = settings.data_dir / "secret.key"
    return [*found, _secret(key)] if key.exists() else found


def _folder(name: str, folder: Path) -> Finding:
    if not folder.exists():
        return wrong(name, f"{folder} does not exist", "Start Earmark once, or run `earmark set-up`: that makes it")
    if not folder.is_dir():
        return wrong(name, f"{folder} is no folder", f"Move it away, or set {PREFIX}DATA_DIR to another place")
    try:
        with tempfile.TemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
    except OSError as error:
        owner = f"the user {os.getuid()} that Earmark runs as"
        return wrong(name, f"{folder} can't be written to: {error.strerror}", f"Give it to {owner}: chown, chmod u+rwx")
    if name.endswith("DATA_DIR") and folder.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        return warning(name, f"other users of this machine can enter {folder}", f"chmod 700 {folder}")
    return ok(name, f"{folder} can be written to")


def _secret(key: Path) -> Finding:
    mode = stat.S_IMODE(key.stat().st_mode)
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        return wrong("secret key", f"other users of this machine can read {key}", f"chmod 600 {key}")
    return ok("secret key", "only its owner can read it")


# --- room


def _disk(data_dir: Path) -> list[Finding]:
    if not data_dir.exists():
        return []
    usage = shutil.disk_usage(data_dir)
    share = usage.free / usage.total
    says = f"{usage.free / 1e9:.1f} GB free ({share:.0%})"
    remedy = "Make room, or set how long audio is kept (docs/retention.md): uploads are refused when it is full"
    if share < _FULL_DISK_SHARE:
        return [wrong("disk", says, remedy)]
    return [warning("disk", says, remedy) if share < _LOW_DISK_SHARE else ok("disk", says)]


def _available_bytes() -> int | None:
    """What this machine or this container has in all; None where nobody tells."""
    limits = []
    if _MEMINFO.exists():
        limits.append(int(_MEMINFO.read_text().split()[1]) * 1024)
    if _CGROUP_LIMIT.exists() and (text := _CGROUP_LIMIT.read_text().strip()).isdecimal():
        limits.append(int(text))
    return min(limits, default=None)


def _memory(total_bytes: int | None) -> Finding:
    if total_bytes is None:
        return ok("memory", "its size is not known on this system")
    says = f"{total_bytes / 2**30:.1f} GB"
    if total_bytes < _WORKER_BYTES:
        needed = f"A worker beside the other processes wants {_WORKER_BYTES / 2**30:.0f} GB"
        return warning("memory", says, f"{needed}: give this machine or container more, or run the worker elsewhere")
    return ok("memory", says)


def _open_files() -> Finding:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FEWEST_FILES:
        more = f"`ulimit -n {min(hard, 65_536)}` before the start" if hard >= _FEWEST_FILES else "LimitNOFILE=65536"
        return warning("open files", f"a process may open {soft}", f"Allow {_FEWEST_FILES} at least: {more}")
    return ok("open files", f"a process may open {soft}")
