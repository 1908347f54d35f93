"""What every process needs, assembled from the settings: database, queue and files."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from app.db.engine import Database
from app.db.uow import Store
from app.db.vault import Vault
from app.domain.addresses import IntranetHosts
from app.integrations.clamd import Clamd
from app.integrations.files import Files, local_files, s3_files
from app.integrations.queue import RedisOutside
from app.integrations.valkey import default_redis_url
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Resources:
    """Open connections of one process. ``redis_url`` is the configured one, or the embedded server's."""

    database: Database
    outside: RedisOutside
    store: Store
    files: Files
    redis_url: str
    intranet: IntranetHosts = field(default_factory=IntranetHosts)
    scanner: Clamd | None = None


def redis_url_of(settings: Settings) -> str:
    return settings.redis_url or default_redis_url(settings.data_dir)


def files_of(settings: Settings) -> Files:
    if settings.storage_url is None:
        return local_files(settings.storage_dir)
    secret = settings.storage_secret_access_key
    return s3_files(
        settings.storage_url,
        endpoint=settings.storage_endpoint,
        region=settings.storage_region,
        access_key_id=settings.storage_access_key_id,
        secret_access_key=secret.get_secret_value() if secret else None,
    )


@asynccontextmanager
async def open_resources(settings: Settings) -> AsyncIterator[Resources]:
    """Open all of them (nothing is connected to before its first use) and close them at the end."""
    database = Database(settings.database_dsn, vault=Vault(settings.signing_key))
    outside = RedisOutside(redis_url_of(settings))
    try:
        store = Store(database, outside)
        yield Resources(
            database,
            outside,
            store,
            files_of(settings),
            redis_url_of(settings),
            intranet=settings.intranet,
            scanner=Clamd(settings.clamd_url) if settings.clamd_url else None,
        )
    finally:
        await outside.close()
        await database.close()
