"""Ready-made things for tests, made through the services wherever one exists."""

from __future__ import annotations

import uuid
from datetime import timedelta

from sqlalchemy import select

from app.db.models import User
from app.db.uow import Store, UnitOfWork
from app.domain.genres import GENRES
from app.domain.ids import new_id
from app.domain.jobs import AnalysisScope, JobKind
from app.domain.media import Container
from app.domain.permissions import Principal, Role
from app.domain.preferences import Preferences
from app.domain.results import GenreResult, ModelRef, Timings, Window, genre_result
from app.domain.submissions import JobOptions
from app.domain.views import JobOut
from app.services import submissions
from app.services.accounts import Identity, sign_in
from app.services.analyses import Claim, FileFacts, claim_job, record_result
from app.services.uploads import StoredUpload

FACTS = FileFacts(duration_s=31.5, sample_rate_hz=44_100, channels=2, title="Morning", artist="The Larks")
ADMIN = Principal("the house", Role.ADMIN)
PREFERENCES = Preferences(review_threshold=0.6, upload_limit_bytes=30_000_000)
MODEL = ModelRef(name="starter", version="1", sha256="0" * 64, starter=True)


async def make_principal(store: Store, role: Role = Role.UPLOADER, name: str = "Una") -> Principal:
    """A signed-in person of that role."""
    identity = Identity(issuer="https://login.test", subject=f"{name}-{role}", name=name, email=None, role=role)
    async with store.writing() as uow:
        await sign_in(uow, identity, lifetime=timedelta(hours=1))
    async with store.reading() as uow:
        user = (await uow.session.scalars(select(User).where(User.subject == identity.subject))).one()
    return Principal(user.name, user.role, user_id=user.id)


def make_upload(name: str = "track.mp3") -> StoredUpload:
    return StoredUpload(new_id(), name, "a" * 64, 1234, Container.MP3)


async def submit_job(
    uow: UnitOfWork,
    principal: Principal,
    upload: StoredUpload,
    kind: JobKind = JobKind.GENRE,
    *,
    scope: AnalysisScope = AnalysisScope.START,
    batch_id: uuid.UUID | None = None,
) -> JobOut:
    """A job that is analysed in any case, for a file that is already in storage."""
    options = JobOptions(kind=kind, scope=scope, batch_id=batch_id, force=True)
    return await submissions.submit_upload(uow, principal, upload, options)


async def make_job(
    store: Store,
    principal: Principal,
    name: str = "track.mp3",
    *,
    scope: AnalysisScope = AnalysisScope.START,
    batch_id: uuid.UUID | None = None,
) -> JobOut:
    async with store.writing() as uow:
        return await submit_job(uow, principal, make_upload(name), JobKind.GENRE, scope=scope, batch_id=batch_id)


def make_probabilities(genre: str = "soft_rock", probability: float = 0.9) -> list[float]:
    rest = (1 - probability) / (len(GENRES) - 1)
    return [probability if entry.id == genre else rest for entry in GENRES]


def make_result(genre: str = "soft_rock", probability: float = 0.9, *, audible: bool = True) -> GenreResult:
    row = make_probabilities(genre, probability)
    return genre_result(
        [Window(0.0, 11.4, row), Window(11.4, 22.8, row)],
        analysed_seconds=30.0,
        audible=audible,
        timings_ms=Timings(queued=5, fetch=1, decode=30, features=20, forward=60, total=116),
        model=MODEL,
    )


async def claim(
    uow: UnitOfWork, job_id: uuid.UUID, *, worker_id: uuid.UUID | None = None, lease_s: float = 20
) -> Claim:
    found = await claim_job(uow, job_id, worker_id=worker_id or new_id(), lease_s=lease_s)
    assert found is not None
    return found


async def finish_job(store: Store, job_id: uuid.UUID, result: GenreResult | None = None) -> None:
    """What a worker does, without the computing."""
    async with store.writing() as uow:
        taken = await claim(uow, job_id)
    async with store.writing() as uow:
        assert await record_result(uow, taken, result or make_result(), FACTS, defaults=PREFERENCES)
