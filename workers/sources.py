"""Fetching recordings from the addresses that callers have given: one at a time for each job, a few at the same time."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

import structlog

from app.domain.addresses import IntranetHosts
from app.domain.failures import Failure, FailureCode
from app.domain.keys import audio_key
from app.domain.preferences import Preferences
from app.errors import AddressRefused, FileEmpty, FileInfected, HostUnknown, TooLarge, Unsupported, UrlRefused
from app.integrations.fetching import FetchFailed, FetchRefused, FetchTooLarge, fetching
from app.resources import Resources
from app.services import preferences
from app.services.infections import EARMARK, record_infection
from app.services.sources import DueSource, fail_source, take_due_sources, try_again_or_fail
from app.services.submissions import copy_picture, recording_fetched
from app.services.uploads import StoredUpload, receive_upload

log = structlog.get_logger(__name__)

_AT_ONCE = 8


class SourceFetcher:
    """Fetches what is due. ``defaults`` hold where no admin has set another size limit."""

    def __init__(self, intranet: IntranetHosts, defaults: Preferences) -> None:
        self._intranet, self._defaults = intranet, defaults

    async def fetch_due(self, parts: Resources) -> None:
        """A chore: take the addresses that are due, fetch them side by side, and record what came of each."""
        async with parts.store.writing() as uow:
            due = await take_due_sources(uow, _AT_ONCE)
            limit_bytes = (await preferences.current(uow, self._defaults)).upload_limit_bytes if due else 0
        fetched = await asyncio.gather(
            *(self._fetch(parts, source, limit_bytes) for source in due), return_exceptions=True
        )
        for outcome in fetched:
            if outcome is not None:  # database or storage are in trouble: the lease ends, and another try follows
                raise outcome

    async def _fetch(self, parts: Resources, source: DueSource, limit_bytes: int) -> None:
        host = urlsplit(source.url).hostname or ""
        try:
            stored = await self._store(parts, source, limit_bytes)
        except (FetchFailed, HostUnknown) as error:
            log.info("a recording could not be fetched", job_id=str(source.job_id), reason=str(error))
            failure = Failure(FailureCode.SOURCE_UNREACHABLE, {"host": host})
            async with parts.store.writing() as uow:
                await try_again_or_fail(uow, source, failure)
        except FileInfected as error:
            signature = error.params["signature"]
            failure = Failure(FailureCode.SOURCE_INFECTED, {"host": host, "signature": signature})
            log.warning("an infected recording was not fetched", job_id=str(source.job_id), signature=signature)
            async with parts.store.writing() as uow:
                await fail_source(uow, source.job_id, failure)
                record_infection(uow, EARMARK, str(signature), job_id=source.job_id)
        except (FetchRefused, FetchTooLarge, UrlRefused, AddressRefused, TooLarge, Unsupported, FileEmpty) as error:
            async with parts.store.writing() as uow:
                await fail_source(uow, source.job_id, _failure(error, host, limit_bytes))
        else:
            await self._record(parts, source, stored)

    async def _store(self, parts: Resources, source: DueSource, limit_bytes: int) -> StoredUpload:
        async with fetching(source.url, intranet=self._intranet, limit_bytes=limit_bytes) as chunks:
            return await receive_upload(
                parts.files,
                chunks,
                name=source.name,
                limit_bytes=limit_bytes,
                asset_id=source.asset_id,
                scanner=parts.scanner,
            )

    async def _record(self, parts: Resources, source: DueSource, stored: StoredUpload) -> None:
        async with parts.store.writing() as uow:
            wanted = await recording_fetched(uow, source.job_id, stored)
        if not wanted:
            await parts.files.delete(audio_key(source.asset_id))
            return
        await copy_picture(parts.store, parts.files, source.job_id)


def _failure(error: Exception, host: str, limit_bytes: int) -> Failure:
    if isinstance(error, FetchTooLarge | TooLarge):
        return Failure(FailureCode.SOURCE_TOO_LARGE, {"host": host, "limit_mb": f"{limit_bytes / 1e6:g}"})
    if isinstance(error, Unsupported | FileEmpty):
        return Failure(FailureCode.SOURCE_NOT_AUDIO, {"host": host})
    if isinstance(error, FetchRefused):
        return Failure(FailureCode.SOURCE_REFUSED, {"host": host, "status": error.status})
    return Failure(FailureCode.SOURCE_ADDRESS, {"host": host})
