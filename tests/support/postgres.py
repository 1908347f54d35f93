"""A throw-away PostgreSQL server. Runs as root too, by dropping to the postgres user."""

from __future__ import annotations

import asyncio
import os
import pwd
import shlex
import shutil
import signal
import subprocess
import tempfile
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.support.waiting import wait_until


def _binaries() -> Path:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    if found:
        return found[-1]
    on_path = shutil.which("postgres")
    assert on_path, "PostgreSQL is not installed; tools/system_packages.sh says what to do"
    return Path(on_path).parent


def _unprivileged() -> dict[str, Any]:
    """PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    postgres = pwd.getpwnam("postgres")
    return {"user": postgres.pw_uid, "group": postgres.pw_gid, "extra_groups": []}


class PostgresServer:
    """Listens on a unix socket only; nothing is flushed to disk, so that it is quick.

    ``durable``: what was committed outlives the server, if not the machine.
    """

    def __init__(self, *, durable: bool = False) -> None:
        self._commit = f"synchronous_commit={'on' if durable else 'off'}"
        self.base = Path(tempfile.mkdtemp(prefix="earmark-pg-", dir="/tmp"))
        self.data = self.base / "data"
        self._env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": str(self.base)}
        self._options = _unprivileged()
        self._process: subprocess.Popen[bytes] | None = None
        if self._options:
            shutil.chown(self.base, int(str(self._options["user"])), int(str(self._options["group"])))
        initdb = [_binaries() / "initdb", "-D", self.data, "-U", "postgres", "-A", "trust", "-E", "UTF8"]
        self._run(*initdb, "--no-sync", "--no-instructions")

    def _run(self, *command: object, content: bytes | None = None) -> bytes:
        done: subprocess.CompletedProcess[bytes] = subprocess.run(
            [str(part) for part in command],
            check=True,
            capture_output=True,
            input=content,
            env=self._env,
            cwd=self.base,
            **self._options,
        )
        return done.stdout

    def start(self, *more: str) -> None:
        """``more``: settings as name=value, beside those for speed."""
        settings = (*more, "listen_addresses=", "fsync=off", self._commit, "full_page_writes=off")
        arguments = [part for setting in (*settings, "max_connections=60") for part in ("-c", shlex.quote(setting))]
        command = [_binaries() / "pg_ctl", "-D", self.data, "-w", "-l", self.base / "log"]
        self._run(*command, "-o", " ".join([f"-k {self.base}", *arguments]), "start")

    def stop(self, mode: str = "fast") -> None:
        self._run(_binaries() / "pg_ctl", "-D", self.data, "-m", mode, "-w", "stop")

    @property
    def pid(self) -> int:
        return int((self.data / "postmaster.pid").read_text().splitlines()[0])

    def kill(self) -> None:
        os.kill(self.pid, signal.SIGQUIT)

    def dsn(self, database: str = "postgres") -> str:
        return f"postgresql+asyncpg://postgres@/{database}?host={self.base}"

    def create_database(self, name: str) -> str:
        self._run(_binaries() / "createdb", "-h", self.base, "-U", "postgres", name)
        return self.dsn(name)

    def drop_database(self, name: str) -> None:
        self._run(_binaries() / "dropdb", "-h", self.base, "-U", "postgres", "--force", name)

    def dump(self, database: str, file: Path) -> None:
        """As docs/backup.md says."""
        content = self._run(_binaries() / "pg_dump", "--format=custom", "-h", self.base, "-U", "postgres", database)
        file.write_bytes(content)

    def restore(self, database: str, file: Path) -> None:
        """Into a new database."""
        self.create_database(database)
        connection = ("-h", self.base, "-U", "postgres")
        restore = (_binaries() / "pg_restore", *connection, "--exit-on-error", f"--dbname={database}")
        self._run(*restore, content=file.read_bytes())

    def start_archiving(self) -> None:
        """With a write-ahead log that is kept, as docs/backup.md says."""
        wal = self.base / "wal"
        self._run("mkdir", wal)
        self.start("archive_mode=on", f"archive_command=test ! -f {wal}/%f && cp %p {wal}/%f")

    def base_backup(self) -> None:
        target = f"--pgdata={self.base / 'backup'}"
        self._run(
            _binaries() / "pg_basebackup",
            "-h",
            self.base,
            "-U",
            "postgres",
            target,
            "--wal-method=stream",
            "--checkpoint=fast",
        )

    def start_at(self, moment: datetime) -> None:
        """On the base backup, with all that was written up to then."""
        self.data = self.base / "backup"
        self._run("touch", self.data / "recovery.signal")
        self.start(
            f"restore_command=cp {self.base}/wal/%f %p",
            f"recovery_target_time={moment.isoformat()}",
            "recovery_target_action=promote",
        )
        wait_until(self._takes_writes, "the restored server is still in recovery")

    def _takes_writes(self) -> bool:
        """It answers questions before it has come to that moment."""
        question = ("--tuples-only", "--no-align", "--command", "SELECT pg_is_in_recovery()")
        return self._run(_binaries() / "psql", "-h", self.base, "-U", "postgres", *question).strip() == b"f"

    async def create_database_async(self, name: str) -> str:
        return await asyncio.to_thread(self.create_database, name)

    def remove(self) -> None:
        self.stop("immediate")
        shutil.rmtree(self.base, ignore_errors=True)
