"""What Earmark depends on: does it answer, is it what it should be, and does it know what time it is?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select
from sqlalchemy.engine import make_url

from app.cli.doctor.findings import Finding, in_words, ok, warning, wrong
from app.db.engine import Database
from app.db.migrations import newest_revision, revision_of, revisions
from app.db.uow import UnitOfWork
from app.domain.ids import new_id, utc_now
from app.integrations.clamd import Clamd
from app.integrations.oidc_provider import Provider
from app.integrations.queue import open_redis
from app.resources import files_of, redis_url_of
from app.services.monitoring import Figures, read_figures
from app.services.workers import WorkersStatus, workers_status
from app.settings import PREFIX, Settings

TIMEOUT_S = 10.0
# Leases and signs of life compare the clocks of machines.
_CLOCK_WARNING_S = 2.0


async def _tried(check: str, remedy: str, look: Callable[[], Awaitable[list[Finding]]]) -> list[Finding]:
    """What ``look`` finds; whatever it raises is a finding too."""
    try:
        async with asyncio.timeout(TIMEOUT_S):
            return await look()
    except TimeoutError:
        return [wrong(check, f"no answer within {TIMEOUT_S:g} s", remedy)]
    except Exception as error:  # noqa: BLE001  each driver has its own
        return [wrong(check, in_words(error), remedy)]


def _clock(of: str, theirs: datetime, asked_at: datetime) -> Finding:
    """Half of the time that asking took belongs to the way back."""
    ours = asked_at + (utc_now() - asked_at) / 2
    apart_s = abs((theirs - ours).total_seconds())
    if apart_s > _CLOCK_WARNING_S:
        remedy = "Set both clocks by NTP (timedatectl set-ntp true): leases and signs of life compare them"
        return wrong(f"clock of {of}", f"{apart_s:.1f} s apart from this machine's", remedy)
    return ok(f"clock of {of}", f"{apart_s:.1f} s apart from this machine's")


# --- database


def missing_file(dsn: str) -> Path | None:
    """The file of a SQLite database that is not there; connecting to it would make an empty one."""
    url = make_url(dsn)
    file = Path(url.database or "")
    return file if url.get_backend_name() == "sqlite" and not file.exists() else None


async def examine_database(settings: Settings) -> list[Finding]:
    dsn = settings.database_dsn
    remedy = f"Is it running, and is {PREFIX}DATABASE_URL right?" if settings.database_url else "See docs/backup.md"
    if (file := missing_file(dsn)) is not None:
        return [wrong("database", f"{file} does not exist", "Run `earmark set-up`, or `make run`, which does it")]
    database = Database(dsn)
    try:
        return await _tried("database", remedy, lambda: _database(database))
    finally:
        await database.close()


async def _database(database: Database) -> list[Finding]:
    found, wanted = await revision_of(database), newest_revision()
    if found != wanted:
        return [_other_revision(found, wanted)]
    findings = [ok("database", f"{database.engine.dialect.name}, at revision {found}")]
    async with database.reading() as session:
        if not database.is_sqlite:
            asked_at = utc_now()
            now = await session.scalar(select(func.clock_timestamp()))
            assert isinstance(now, datetime)
            findings.append(_clock("the database", now, asked_at))
    return [*findings, *await _work(database)]


def _other_revision(found: str | None, wanted: str | None) -> Finding:
    says = f"it is at revision {found or 'none'}, this version needs {wanted}"
    if found is None or found in revisions():
        return wrong("database", says, "Run `earmark db upgrade`")
    return wrong("database", f"{says}: a newer version has been here", "Install that version, or restore a backup")


async def _work(database: Database) -> list[Finding]:
    async with database.reading() as session:
        uow = UnitOfWork(session)
        return [_workers(await workers_status(uow)), *_queue(await read_figures(uow))]


def _workers(status: WorkersStatus) -> Finding:
    if status.trouble:
        return warning("workers", status.trouble, "What the worker says names the file and what to do")
    if status.ready:
        return ok("workers", f"{status.ready} ready")
    if status.message:
        return wrong("workers", f"none is ready; the last one said: {status.message}", "Do what it says")
    if status.starting:
        return warning("workers", "none is ready yet; one is starting", "Wait a moment and ask again")
    return wrong("workers", "none is ready", "Start `earmark run`, or `earmark worker` where workers are started alone")


def _queue(figures: Figures) -> list[Finding]:
    if figures.stalled:
        remedy = (
            "Look at the workers' logs; do they use the same database and queue? (EARMARK_DATABASE_URL, _REDIS_URL)"
        )
        return [wrong("queue", "somebody has waited for minutes, and nothing is being done", remedy)]
    if figures.oldest_due_delivery_s is not None and figures.oldest_due_delivery_s > 600:
        return [warning("webhooks", "deliveries are more than 10 minutes late", "Is `earmark chores` running?")]
    return [ok("queue", f"{sum(one.jobs for one in figures.pending)} jobs wait or are being analysed")]


# --- queue, files, sign-in, virus scan


async def examine_redis(settings: Settings) -> list[Finding]:
    own = settings.redis_url is not None
    remedy = (
        f"Is it running, and is {PREFIX}REDIS_URL right?" if own else "It runs while `earmark run` does: start that"
    )
    return await _tried("redis", remedy, lambda: _redis(redis_url_of(settings)))


async def _redis(url: str) -> list[Finding]:
    redis = open_redis(url)
    redis.auto_close_connection_pool = True
    try:
        asked_at = utc_now()
        seconds, microseconds = await redis.time()
        clock = _clock("redis", datetime.fromtimestamp(seconds + microseconds / 1e6, UTC), asked_at)
        memory = await redis.info("memory")
    finally:
        await redis.aclose()
    policy = memory.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        remedy = "Set `maxmemory-policy noeviction`: rings that are thrown away cost up to 10 s each"
        return [warning("redis", f"it throws things away when it is full ({policy})", remedy), clock]
    return [ok("redis", "it answers"), clock]


async def examine_storage(settings: Settings) -> list[Finding]:
    where = settings.storage_url or str(settings.storage_dir.resolve())
    hint = f"Check {PREFIX}STORAGE_URL, _ENDPOINT, _REGION and the keys; they must allow to write, read and delete"
    remedy = hint if settings.storage_url else "Give the folder to the user that Earmark runs as"

    async def look() -> list[Finding]:
        files, key, content = files_of(settings), f"health-check/{new_id()}", b"probe"
        await files.put_bytes(key, content)
        try:
            same = await files.read(key) == content
        finally:
            await files.delete(key)
        if not same:
            return [wrong("storage", f"{where} gives back something else than was written", remedy)]
        return [ok("storage", f"{where} can be written, read and deleted from")]

    if settings.storage_url is None and not settings.data_dir.exists():
        return []  # the folders' own finding says so
    return await _tried("storage", remedy, look)


async def examine_sign_in(settings: Settings) -> list[Finding]:
    if settings.oidc_issuer is None:
        return [ok("sign-in", "local mode: whoever has a link of `earmark sign-in-link`, on this machine only")]
    provider = Provider(
        settings.oidc_issuer, client_id=settings.oidc_client_id, client_secret=None, scopes=settings.oidc_scopes
    )

    async def look() -> list[Finding]:
        await provider.metadata()
        return [ok("sign-in", f"{settings.oidc_issuer} answers")]

    remedy = f"Nobody can sign in until {settings.oidc_issuer} can be reached from here; is {PREFIX}OIDC_ISSUER right?"
    return await _tried("sign-in", remedy, look)


async def examine_scanner(settings: Settings) -> list[Finding]:
    url = settings.clamd_url
    if url is None:
        return []

    async def look() -> list[Finding]:
        await Clamd(url).check()
        return [ok("virus scan", "clamd answers")]

    return await _tried("virus scan", f"Is clamd running, and is {PREFIX}CLAMD_URL right? Uploads are refused", look)
