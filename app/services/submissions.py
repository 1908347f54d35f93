"""How jobs come about: of a file that is in storage, of a direct upload, of an address to fetch it from.

A recording that was analysed before by the model now active is answered at once with that result.
"""

from __future__ import annotations

import contextlib
import uuid

from sqlalchemy import and_, select

from app.db.models import Asset, DirectUpload, Job, Model, Review, Source
from app.db.repositories.jobs import visible_to
from app.db.uow import Store, UnitOfWork, Wakeup
from app.domain.ids import new_id, utc_now
from app.domain.jobs import EventType, JobState, Lane
from app.domain.keys import audio_key, spectrogram_key
from app.domain.permissions import Principal, Role
from app.domain.submissions import JobOptions
from app.domain.views import JobOut
from app.errors import UploadIncomplete, UploadNotFound
from app.integrations.files import FileGone, Files
from app.services import batches, fair_share, sources
from app.services.callbacks import add_callback
from app.services.events import record_event
from app.services.job_views import view_of_own
from app.services.uploads import StoredUpload

# Of earlier jobs on the same audio so many are looked at: the newest is nearly always the one.
_EARLIER_LIMIT = 5


# --- new jobs


async def submit_upload(uow: UnitOfWork, principal: Principal, upload: StoredUpload, options: JobOptions) -> JobOut:
    """Write asset, job and events for a file that is already in storage; a worker is woken after the commit.

    Raises:
        BatchNotFound, Forbidden: the caller can't add to that batch.
    """
    asset = Asset(id=upload.asset_id, name=upload.name)
    _fill(asset, upload)
    job = await _new(uow, principal, asset, options)
    earlier = await _earlier_or_turn(uow, principal, job, force=options.force)
    await _add(uow, principal, job, options)
    await _begin(uow, job, earlier)
    return view_of_own(job, principal)


async def submit_direct_upload(
    uow: UnitOfWork, principal: Principal, upload_id: uuid.UUID, options: JobOptions
) -> JobOut:
    """The same for a file that has come in parts; it belongs to the job from then on.

    Raises:
        UploadNotFound, UploadIncomplete, BatchNotFound, Forbidden
    """
    found = await uow.session.get(DirectUpload, upload_id, with_for_update=True)
    if found is None or (found.user_id, found.api_key_id) != (principal.user_id, principal.api_key_id):
        raise UploadNotFound
    if found.sha256 is None or found.container is None:
        raise UploadIncomplete
    await uow.session.delete(found)
    stored = StoredUpload(found.id, found.name, found.sha256, found.size_bytes, found.container)
    return await submit_upload(uow, principal, stored, options)


async def submit_source(
    uow: UnitOfWork, principal: Principal, url: str, options: JobOptions, *, name: str | None = None
) -> JobOut:
    """A job whose recording is still to be fetched, which a chores process does. The address has been checked already.

    Raises:
        BatchNotFound, Forbidden
    """
    asset = Asset(id=new_id(), name=sources.name_of(url, name))
    job = await _new(uow, principal, asset, options)
    await _add(uow, principal, job, options)
    uow.session.add(Source(job_id=job.id, url=url, force=options.force, due_at=utc_now()))
    uow.changed_jobs.append(job.id)
    return view_of_own(job, principal)


def _fill(asset: Asset, upload: StoredUpload) -> None:
    asset.sha256, asset.size_bytes, asset.container = upload.sha256, upload.size_bytes, upload.container
    asset.storage_key = audio_key(asset.id)


async def _new(uow: UnitOfWork, principal: Principal, asset: Asset, options: JobOptions) -> Job:
    """Not in the database yet: what it needs to know from there is read first, and it's written once."""
    if options.batch_id is not None:
        await batches.admit(uow, principal, options.batch_id)
    return Job(
        id=new_id(),
        asset=asset,
        kind=options.kind,
        scope=options.scope,
        lane=Lane.of(options.scope, options.batch_id),
        review=None,
        batch_id=options.batch_id,
        attributes=options.attributes,
        user_id=principal.user_id,
        api_key_id=principal.api_key_id,
    )


async def _add(uow: UnitOfWork, principal: Principal, job: Job, options: JobOptions) -> None:
    uow.session.add(job)
    await uow.session.flush()  # events refer to it
    if options.callback_url is not None:
        await add_callback(uow, principal, job.id, options.callback_url, intranet=options.intranet)
    await record_event(uow, EventType.JOB_CREATED, job_id=job.id)


async def _earlier_or_turn(uow: UnitOfWork, principal: Principal, job: Job, *, force: bool) -> Job | None:
    """The recording is here: the job whose result will do for this one, which else gets its turn."""
    earlier = None if force else await _earlier(uow, principal, job)
    if earlier is None:
        await fair_share.line_up(uow, job)
    return earlier


async def _begin(uow: UnitOfWork, job: Job, earlier: Job | None) -> None:
    """Answer from an earlier result, or ring for a worker."""
    uow.changed_jobs.append(job.id)
    if earlier is None:
        uow.wakeups.append(Wakeup.of(job))
    else:
        await _take_over(uow, job, earlier)


# --- recordings that were fetched


async def recording_fetched(uow: UnitOfWork, job_id: uuid.UUID, upload: StoredUpload) -> bool:
    """The recording of a source lies in storage; False if nobody wants it any more."""
    source = await uow.session.get(Source, job_id)
    job = await uow.session.get(Job, job_id, with_for_update={"of": Job})
    if source is None or job is None or job.state is not JobState.QUEUED:
        return False
    _fill(job.asset, upload)
    await uow.session.delete(source)
    await uow.session.flush()
    earlier = await _earlier_or_turn(uow, _submitter(job), job, force=source.force)
    await _begin(uow, job, earlier)
    return True


def _submitter(job: Job) -> Principal:
    """Whoever submitted the job, with the least rights: to find what they may see."""
    return Principal("", Role.VIEWER, user_id=job.user_id, api_key_id=job.api_key_id)


# --- the same audio again


async def _earlier(uow: UnitOfWork, principal: Principal, job: Job) -> Job | None:
    """A finished job on the same audio, by the active model, that the caller may see."""
    query = (
        select(Job, Model.sha256)
        .join(Job.asset)
        .join(Model, and_(Model.kind == Job.kind, Model.active))
        .where(Asset.sha256 == job.asset.sha256, Job.kind == job.kind, Job.scope == job.scope)
        .where(Job.state == JobState.DONE, Job.id != job.id, visible_to(principal))
        .order_by(Job.id.desc())
        .limit(_EARLIER_LIMIT)
    )
    found = (await uow.session.execute(query)).unique().all()
    return next((one for one, sha256 in found if one.result and one.result["model"]["sha256"] == sha256), None)


async def _take_over(uow: UnitOfWork, job: Job, earlier: Job) -> None:
    """The earlier job's result, and what people have made of it, are this job's too."""
    job.state, job.deduplicated = JobState.DONE, True
    job.started_at = job.finished_at = utc_now()
    job.result, job.model_id, job.label = earlier.result, earlier.model_id, earlier.label
    job.genre, job.probability, job.tier = earlier.genre, earlier.probability, earlier.tier
    asset, known = job.asset, earlier.asset
    asset.duration_s, asset.sample_rate_hz, asset.channels = known.duration_s, known.sample_rate_hz, known.channels
    asset.title, asset.artist = known.title, known.artist
    if earlier.review is not None and earlier.label is None:
        entry = Review(job_id=job.id, reason=earlier.review.reason, batch_id=job.batch_id)
        entry.genre, entry.probability = earlier.review.genre, earlier.review.probability
        uow.session.add(entry)
    await uow.session.flush()
    await record_event(uow, EventType.JOB_DONE, job_id=job.id, data={"genre": job.genre})
    await batches.settle(uow, job.batch_id)


async def copy_picture(store: Store, files: Files, job_id: uuid.UUID) -> None:
    """A job that has taken over a result gets its own copy of the spectrogram, which is deleted with it."""
    async with store.reading() as uow:
        original = await _original(uow, job_id)
    if original is not None:
        with contextlib.suppress(FileGone):
            await files.copy(spectrogram_key(original), spectrogram_key(job_id))


async def _original(uow: UnitOfWork, job_id: uuid.UUID) -> uuid.UUID | None:
    """The newest job that has computed the result which this one has taken over."""
    job = await uow.session.get(Job, job_id)
    if job is None or not job.deduplicated:
        return None
    same = select(Job.id).join(Job.asset).where(Asset.sha256 == job.asset.sha256, Job.kind == job.kind)
    query = same.where(Job.state == JobState.DONE, ~Job.deduplicated).order_by(Job.id.desc()).limit(1)
    return await uow.session.scalar(query)
