"""Large files in parts: each part is a file of its own in storage until the whole is put together.

That needs nothing of the storage but signed addresses, so it works the same with every S3 and, served by ourselves, with a
folder; and the whole is hashed and sniffed by the same code as any other upload.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from datetime import timedelta

from sqlalchemy import delete, func, select

from app.db.models import DirectUpload
from app.db.uow import Store, UnitOfWork
from app.domain.ids import utc_now
from app.domain.keys import audio_key, part_key
from app.domain.media import clean_name
from app.domain.permissions import Principal
from app.domain.submissions import NewUpload, UploadOut, UploadPart, UploadState, part_size_bytes, part_sizes_bytes
from app.errors import PartsMissing, UploadLimit, UploadNotFound
from app.integrations.clamd import Clamd
from app.integrations.files import FileGone, Files
from app.services.infections import infections_audited
from app.services.uploads import StoredUpload, receive_upload, too_large

LIFETIME = timedelta(hours=24)
MOST_OPEN = 100
_CHECKED_AT_ONCE = 16
_NAMED_IN_ERRORS = 20


def upload_out(upload: DirectUpload, urls: Sequence[str]) -> UploadOut:
    """``urls``: where the parts go, in their order; none for an upload that is complete."""
    sizes = part_sizes_bytes(upload.size_bytes, upload.part_bytes)
    parts = [
        UploadPart(number=number, size_bytes=size_bytes, url=url)
        for number, (size_bytes, url) in enumerate(zip(sizes, urls, strict=False), start=1)
    ]
    return UploadOut(
        id=upload.id,
        state=UploadState.OPEN if upload.sha256 is None else UploadState.COMPLETE,
        name=upload.name,
        size_bytes=upload.size_bytes,
        parts=parts,
        sha256=upload.sha256,
        container=upload.container,
        created_at=upload.created_at,
        expires_at=upload.expires_at,
    )


async def start_upload(uow: UnitOfWork, principal: Principal, wanted: NewUpload, *, limit_bytes: int) -> DirectUpload:
    """
    Raises:
        TooLarge: over the limit of a file.
        UploadLimit: the caller has too many of them open.
    """
    if wanted.size_bytes > limit_bytes:
        raise too_large(limit_bytes)
    own = select(func.count()).select_from(DirectUpload)
    own = own.where(DirectUpload.user_id == principal.user_id, DirectUpload.api_key_id == principal.api_key_id)
    if (await uow.session.scalar(own.where(DirectUpload.sha256.is_(None))) or 0) >= MOST_OPEN:
        raise UploadLimit(most=MOST_OPEN)
    upload = DirectUpload(
        user_id=principal.user_id,
        api_key_id=principal.api_key_id,
        name=clean_name(wanted.name),
        size_bytes=wanted.size_bytes,
        part_bytes=part_size_bytes(wanted.size_bytes),
        expires_at=utc_now() + LIFETIME,
    )
    uow.session.add(upload)
    await uow.session.flush()
    return upload


async def find_upload(uow: UnitOfWork, principal: Principal, upload_id: uuid.UUID) -> DirectUpload:
    """
    Raises:
        UploadNotFound: unknown, expired, used, or somebody else's.
    """
    upload = await uow.session.get(DirectUpload, upload_id)
    own = upload and (upload.user_id, upload.api_key_id) == (principal.user_id, principal.api_key_id)
    if upload is None or not own or upload.expires_at <= utc_now():
        raise UploadNotFound
    return upload


async def expected_part_bytes(uow: UnitOfWork, upload_id: uuid.UUID, number: int) -> int:
    """How large this part of an open upload has to be.

    Raises:
        UploadNotFound: there is no such part to be sent.
    """
    upload = await uow.session.get(DirectUpload, upload_id)
    if upload is None or upload.sha256 is not None or upload.expires_at <= utc_now():
        raise UploadNotFound
    sizes = part_sizes_bytes(upload.size_bytes, upload.part_bytes)
    if not 1 <= number <= len(sizes):
        raise UploadNotFound
    return sizes[number - 1]


async def complete_upload(
    store: Store, files: Files, principal: Principal, upload_id: uuid.UUID, *, scanner: Clamd | None = None
) -> DirectUpload:
    """Put the parts together. No transaction is open meanwhile; doing it twice changes nothing.

    Raises:
        UploadNotFound, PartsMissing
        Unsupported, FileInfected: it is no audio, or no harmless one; the upload stays open, and a part can be sent again.
        ScannerUnavailable
    """
    async with store.reading() as uow:
        upload = await find_upload(uow, principal, upload_id)
    if upload.sha256 is not None:
        return upload
    keys = await _checked_parts(files, upload)
    async with infections_audited(store, principal):
        stored = await receive_upload(
            files,
            _joined(files, keys),
            name=upload.name,
            limit_bytes=upload.size_bytes,
            asset_id=upload.id,
            scanner=scanner,
        )
    async with store.writing() as uow:
        upload = await _mark_complete(uow, principal, stored)
    for key in keys:
        await files.delete(key)
    return upload


async def _mark_complete(uow: UnitOfWork, principal: Principal, stored: StoredUpload) -> DirectUpload:
    upload = await find_upload(uow, principal, stored.asset_id)
    upload.sha256, upload.container = stored.sha256, stored.container
    return upload


async def _checked_parts(files: Files, upload: DirectUpload) -> list[str]:
    sizes = part_sizes_bytes(upload.size_bytes, upload.part_bytes)
    keys = [part_key(upload.id, number) for number in range(1, len(sizes) + 1)]
    gate = asyncio.Semaphore(_CHECKED_AT_ONCE)

    async def is_there(key: str, size_bytes: int) -> bool:
        try:
            async with gate:
                return await files.size_bytes(key) == size_bytes
        except FileGone:
            return False

    there = await asyncio.gather(*map(is_there, keys, sizes))
    missing = [str(number) for number, found in enumerate(there, start=1) if not found]
    if missing:
        more = ["…"] if len(missing) > _NAMED_IN_ERRORS else []
        raise PartsMissing(parts=", ".join(missing[:_NAMED_IN_ERRORS] + more))
    return keys


async def _joined(files: Files, keys: Sequence[str]) -> AsyncIterator[bytes]:
    for key in keys:
        async for chunk in files.stream(key, 0, await files.size_bytes(key)):
            yield chunk


async def drop_upload(uow: UnitOfWork, principal: Principal, upload_id: uuid.UUID) -> list[str]:
    """Forget an upload; returns the storage keys to delete after the commit.

    Raises:
        UploadNotFound
    """
    upload = await find_upload(uow, principal, upload_id)
    await uow.session.delete(upload)
    parts = len(part_sizes_bytes(upload.size_bytes, upload.part_bytes))
    return [audio_key(upload.id), *(part_key(upload.id, number) for number in range(1, parts + 1))]


async def forget_expired_uploads(uow: UnitOfWork) -> None:
    """Their files are nobody's then, and go with the other orphans."""
    await uow.session.execute(delete(DirectUpload).where(DirectUpload.expires_at < utc_now()))
