"""Which files need not be sent to a batch."""

from __future__ import annotations

import pytest

from app.domain.ids import new_id
from app.domain.jobs import JobKind
from app.domain.media import Container
from app.domain.permissions import Role
from app.errors import BatchNotFound
from app.services.arrivals import Arrival, LocalFile, known_files
from app.services.batches import create_batch
from app.services.jobs import cancel_job
from app.services.uploads import StoredUpload
from tests.support.factories import finish_job, make_principal, make_result, submit_job


async def _batch(store, principal, *, private=False):
    async with store.writing() as uow:
        return (await create_batch(uow, principal, "archive", private=private)).id


async def _arrive(store, principal, name, sha256, *, batch_id=None):
    upload = StoredUpload(new_id(), name, sha256, 1000, Container.WAV)
    async with store.writing() as uow:
        return await submit_job(uow, principal, upload, JobKind.GENRE, batch_id=batch_id)


def _file(name, sha256=None, size_bytes=1000):
    return LocalFile(name=name, size_bytes=size_bytes, sha256=sha256)


async def _known(store, principal, batch_id, *files):
    async with store.reading() as uow:
        return await known_files(uow, principal, batch_id, files)


async def test_by_name_and_size_where_the_browser_can_not_hash(store):
    una = await make_principal(store)
    batch_id = await _batch(store, una)
    await _arrive(store, una, "one.wav", "a" * 64, batch_id=batch_id)
    await _arrive(store, una, "elsewhere.wav", "b" * 64)
    files = [_file("one.wav"), _file("one.wav", size_bytes=999), _file("two.wav"), _file("elsewhere.wav")]
    found = await _known(store, una, batch_id, *files)
    assert [one.arrival for one in found] == [Arrival.ARRIVED, Arrival.NEW, Arrival.NEW, Arrival.NEW]


async def test_by_content_where_it_can(store):
    una = await make_principal(store)
    batch_id = await _batch(store, una)
    await _arrive(store, una, "one.wav", "a" * 64, batch_id=batch_id)
    elsewhere = await _arrive(store, una, "elsewhere.wav", "b" * 64)
    await finish_job(store, elsewhere.id, make_result("opera", 0.9))
    files = [
        _file("one.wav", "a" * 64),
        _file("copy.wav", "a" * 64),
        _file("other.wav", "b" * 64),
        _file("one.wav", "c" * 64),
    ]
    arrived, copy, other, changed = await _known(store, una, batch_id, *files)
    assert [arrived.arrival, changed.arrival] == [Arrival.ARRIVED, Arrival.NEW]
    assert (copy.arrival, copy.name, copy.genre) == (Arrival.DUPLICATE, "one.wav", None)
    assert (other.arrival, other.job_id, other.genre) == (Arrival.DUPLICATE, elsewhere.id, "opera")


async def test_what_can_not_be_used_is_no_duplicate(sqlite_store):
    una = await make_principal(sqlite_store)
    batch_id = await _batch(sqlite_store, una)
    job = await _arrive(sqlite_store, una, "cancelled.wav", "a" * 64)
    async with sqlite_store.writing() as uow:
        await cancel_job(uow, una, job.id)
    [found] = await _known(sqlite_store, una, batch_id, _file("again.wav", "a" * 64))
    assert found.arrival is Arrival.NEW


async def test_nothing_is_told_of_other_peoples_private_batches(store):
    una, otto = await make_principal(store), await make_principal(store, name="Otto")
    secret = await _batch(store, otto, private=True)
    await _arrive(store, otto, "secret.wav", "a" * 64, batch_id=secret)
    [found] = await _known(store, una, await _batch(store, una), _file("mine.wav", "a" * 64))
    assert found.arrival is Arrival.NEW
    with pytest.raises(BatchNotFound):
        await _known(store, una, secret, _file("secret.wav"))
    admin = await make_principal(store, Role.ADMIN)
    [found] = await _known(store, admin, secret, _file("secret.wav"))
    assert found.arrival is Arrival.ARRIVED
