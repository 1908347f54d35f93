"""A portal that looks as if people had been at work: recordings in every state, with real sound and real spectrograms."""

from __future__ import annotations

from collections.abc import AsyncIterator

import numpy as np

from app.db.models import Job
from app.domain.failures import Failure, FailureCode
from app.domain.genres import GENRES
from app.domain.ids import new_id
from app.domain.jobs import AnalysisScope, JobKind
from app.domain.keys import example_key, spectrogram_key
from app.domain.permissions import Principal, Role
from app.domain.results import GenreResult, ModelRef, Timings, Window, genre_result
from app.domain.views import JobOut
from app.domain.workers import WorkerState
from app.inference.contracts import Clip
from app.inference.picture import FeatureExtractor
from app.services.accounts import session_of
from app.services.analyses import FileFacts, claim_job, record_failure, record_result
from app.services.batches import create_batch
from app.services.jobs import cancel_job
from app.services.uploads import receive_upload
from app.services.workers import report_worker
from tests.support.browser import Site
from tests.support.factories import PREFERENCES, submit_job
from tests.support.portal import activate_starter, open_session
from tests.support.sounds import beats, chords, encode, melody, noise, stereo

STARTER = ModelRef(name="starter", version="1", sha256="5b1f0c2e9d77" + "0" * 52, starter=True)
_RATE_HZ = 22_050


def likelihoods(genre: str, probability: float, second: str) -> list[float]:
    """Sixteen probabilities with a clear order; two thirds of what ``genre`` leaves go to ``second``."""
    rest = 1 - probability
    weights = np.array([1 / (3 + index) for index in range(len(GENRES))])
    weights[[index for index, entry in enumerate(GENRES) if entry.id in (genre, second)]] = 0
    row = weights / weights.sum() * rest / 3
    for index, entry in enumerate(GENRES):
        if entry.id in (genre, second):
            row[index] = probability if entry.id == genre else rest * 2 / 3
    return [float(value) for value in row]


def _result(genre: str, probability: float, second: str, *, audible: bool = True) -> GenreResult:
    first, last = likelihoods(genre, probability + 0.03, second), likelihoods(genre, probability - 0.03, second)
    return genre_result(
        [Window(3.6, 15.0, first), Window(15.0, 26.4, last)],
        analysed_seconds=30.0,
        audible=audible,
        timings_ms=Timings(queued=118, fetch=9, decode=164, features=231, forward=412, total=951),
        model=STARTER,
    )


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content


class Showcase:
    """Fills a site; ``session`` belongs to the person who uploaded everything."""

    def __init__(self, site: Site, session: str, principal: Principal) -> None:
        self.site = site
        self.session = session
        self.principal = principal
        self.worker_id = new_id()

    async def upload(self, name: str, content: bytes) -> JobOut:
        parts = self.site.app.state.parts
        stored = await receive_upload(parts.files, _once(content), name=name, limit_bytes=10_000_000)
        async with self.site.store.writing() as uow:
            return await submit_job(uow, self.principal, stored, JobKind.GENRE)

    async def done(
        self, job: JobOut, result: GenreResult, *, title: str | None = None, artist: str | None = None
    ) -> None:
        duration_s = max(31.0, result.windows[-1].end_s)
        facts = FileFacts(duration_s=duration_s, sample_rate_hz=_RATE_HZ, channels=2, title=title, artist=artist)
        async with self.site.store.writing() as uow:
            claim = await claim_job(uow, job.id, worker_id=self.worker_id, lease_s=600)
            assert claim is not None
        async with self.site.store.writing() as uow:
            await record_result(uow, claim, result, facts, defaults=PREFERENCES)

    async def running(self, job: JobOut) -> None:
        async with self.site.store.writing() as uow:
            await claim_job(uow, job.id, worker_id=self.worker_id, lease_s=600)

    async def failed(self, job: JobOut, failure: Failure) -> None:
        async with self.site.store.writing() as uow:
            claim = await claim_job(uow, job.id, worker_id=self.worker_id, lease_s=600)
            assert claim is not None
        async with self.site.store.writing() as uow:
            key = await record_failure(uow, claim, failure)
        if key is not None:
            await self.site.app.state.parts.files.delete(key)

    async def draw(self, job: JobOut, samples: np.ndarray) -> None:
        clip = Clip(samples, 31.0, _RATE_HZ, 1, None, None, audible=True)
        windows = FeatureExtractor().windows(clip)
        await self.site.app.state.parts.files.put_bytes(spectrogram_key(job.id), windows.spectrogram_png)

    async def worker_ready(self) -> None:
        async with self.site.store.writing() as uow:
            await report_worker(uow, self.worker_id, WorkerState.READY)


async def open_showcase(site: Site, *, role: Role = Role.UPLOADER, name: str = "Mira Sandoval") -> Showcase:
    session = await open_session(site.store, role, name)
    async with site.store.reading() as uow:
        signed_in = await session_of(uow, session)
    assert signed_in is not None
    await activate_starter(site.store)
    return Showcase(site, session, signed_in.principal)


async def fill(show: Showcase) -> dict[str, JobOut]:
    """One recording for each thing the portal can say about one, by what it shows."""
    await show.worker_ready()
    jobs: dict[str, JobOut] = {}
    music = {
        "low": (noise, "field_take_07.flac", "flac"),
        "medium": (melody, "interview bed – acoustic.m4a", "m4a"),
        "high": (chords, "2019_gala_take3.mp3", "mp3"),
    }
    results = {
        "low": (_result("chamber_cabaret_and_art_pop", 0.44, "classic_indie_pop"), None, None),
        "medium": (_result("acoustic_pop", 0.68, "soft_rock"), "Kitchen Window", "Ada Brandt"),
        "high": (_result("chamber", 0.93, "solo"), "Evening for Strings", "Norrland Quartet"),
    }
    jobs["silent"] = await show.upload("room tone.wav", encode(chords(2, _RATE_HZ) * np.float32(0), _RATE_HZ, "wav"))
    await show.done(jobs["silent"], _result("symphony", 0.41, "solo", audible=False))
    await show.draw(jobs["silent"], np.zeros(2 * _RATE_HZ, np.float32))
    for kind, (play, name, container) in music.items():
        samples = play(31, _RATE_HZ)
        jobs[kind] = await show.upload(name, encode(stereo(samples), _RATE_HZ, container))
        result, title, artist = results[kind]
        await show.done(jobs[kind], result, title=title, artist=artist)
        await show.draw(jobs[kind], samples[: 30 * _RATE_HZ])
    short = encode(beats(3, _RATE_HZ), _RATE_HZ, "mp3")
    jobs["failed"] = await show.upload("press_kit_old.mp3", short)
    await show.failed(jobs["failed"], Failure(FailureCode.AUDIO_CORRUPT))
    jobs["timeout"] = await show.upload("archive_reel_12.ogg", encode(beats(3, _RATE_HZ), _RATE_HZ, "ogg"))
    await show.failed(jobs["timeout"], Failure(FailureCode.DECODE_TIMEOUT, {"limit_s": 20}))
    jobs["cancelled"] = await show.upload("wrong file.mp3", short)
    async with show.site.store.writing() as uow:
        await cancel_job(uow, show.principal, jobs["cancelled"].id)
    jobs["running"] = await show.upload("夏日广告 – 终混.mp3", short)
    await show.running(jobs["running"])
    jobs["queued"] = await show.upload("spring_campaign_v2.mp3", short)
    return jobs


def _concert() -> GenreResult:
    """A whole track of a few minutes that changes its genre every half minute."""
    genres = ("chamber", "chamber", "solo", "symphony", "soul_or_rnb", "soft_rock")
    windows = [
        Window(11.4 * number, 11.4 * (number + 1), likelihoods(genre, 0.55 + 0.05 * (number * 7 % 8), "acoustic_pop"))
        for number, genre in ((number, genres[number // 3]) for number in range(3 * len(genres)))
    ]
    return genre_result(
        windows,
        analysed_seconds=windows[-1].end_s,
        audible=True,
        timings_ms=Timings(queued=120, fetch=31, decode=604, features=911, forward=2313, total=3979),
        model=STARTER,
    )


async def fill_batch(show: Showcase, jobs: dict[str, JobOut]) -> dict[str, str]:
    """What people do with several recordings: a batch, a whole track, a comparison, examples; addresses by name."""
    concert = _concert()
    samples = chords(concert.windows[-1].end_s, _RATE_HZ)
    track = await show.upload("open air 2019, side A.mp3", encode(stereo(samples), _RATE_HZ, "mp3"))
    await show.done(track, concert, title="Open Air, Side A", artist="Norrland Quartet")
    await show.draw(track, samples[: 30 * _RATE_HZ])
    async with show.site.store.writing() as uow:
        batch = await create_batch(uow, show.principal, "Spring archive 2026")
        for job in (track, *jobs.values()):
            (await uow.session.get_one(Job, job.id)).batch_id = batch.id
        (await uow.session.get_one(Job, track.id)).scope = AnalysisScope.FULL
        (await uow.session.get_one(Job, jobs["high"].id)).label = "chamber"
    for genre in GENRES:
        await show.site.app.state.parts.files.put_bytes(
            example_key(genre.id), encode(beats(3, _RATE_HZ), _RATE_HZ, "mp3")
        )
    return {
        "track": f"/jobs/{track.id}",
        "batch": f"/batches/{batch.id}",
        "batches": "/batches",
        "genres": "/genres",
        "compare": f"/compare?left={jobs['high'].id}&right={jobs['medium'].id}",
    }
