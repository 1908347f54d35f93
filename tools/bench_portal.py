"""How long the server takes for each page of the portal, with few and with very many recordings (`make bench-portal`).

Fills two databases of its own (SQLite, or with --postgres DSN a PostgreSQL that may be emptied) and asks the whole application,
in this process and without a network. Each page is asked for many times; its median counts.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import math
import random
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import msgspec
import structlog
from litestar import Litestar
from sqlalchemy import insert, select, text

from app.db.engine import Database
from app.db.migrations import downgrade, upgrade
from app.db.models import ApiKey, Asset, AuditEntry, Batch, Job, Review, ReviewDecision, SearchTerm, User
from app.domain.genres import GENRES, tier_of
from app.domain.ids import new_id, utc_now
from app.domain.jobs import JobKind, JobState, ReviewReason
from app.domain.media import Container
from app.domain.permissions import Role
from app.domain.results import ModelRef, Timings, Window, genre_result
from app.domain.reviews import ReviewState
from app.domain.search import sort_name, terms_of
from app.main import create_app
from app.routes.credentials import cookie_name
from app.routes.deps import WebParts
from app.services.accounts import Identity, sign_in
from app.settings import Settings

MEDIAN_LIMIT_MS = 50
GROWTH_LIMIT = 1.5
_CHUNK = 2_000
_PER_DAY = 300
_BATCH_LENGTH = 200
_WORDS = [
    "morning",
    "evening",
    "river",
    "stone",
    "silver",
    "golden",
    "night",
    "market",
    "winter",
    "summer",
    "spring",
    "brand",
    "film",
    "gala",
    "take",
    "final",
    "mix",
    "archive",
    "reel",
    "session",
    "studio",
    "live",
    "demo",
    "interview",
    "theme",
    "opening",
    "closing",
    "teaser",
    "trailer",
    "loop",
    "bed",
    "jingle",
]
_HAN = ("夏日", "广告", "终混", "开场", "片头", "访谈", "晚会", "品牌", "校园", "古典")
_ARTISTS = ("The Larks", "Norrland Quartet", "Ada Brandt", "晨光乐队", "Studio 9", "Kitchen Window", None)


# --- filling


def _id_at(moment: datetime) -> uuid.UUID:
    """As ids are made, but at any time: they begin with the millisecond."""
    milliseconds = int(moment.timestamp() * 1000)
    return uuid.UUID(int=milliseconds << 80 | 7 << 76 | random.getrandbits(12) << 64 | 2 << 62 | random.getrandbits(62))


def _result(probability: float, genre: int) -> dict[str, Any]:
    rest = (1 - probability) / (len(GENRES) - 1)
    row = [round(probability if place == genre else rest, 6) for place in range(len(GENRES))]
    windows = [Window(11.4 * place, 11.4 * (place + 1), row) for place in range(2)]
    timings = Timings(queued=118, fetch=9, decode=164, features=231, forward=412, total=934)
    model = ModelRef(name="music_genre", version="1", sha256="0" * 64, starter=False)
    result = genre_result(windows, analysed_seconds=30, audible=True, timings_ms=timings, model=model)
    stored: dict[str, Any] = msgspec.to_builtins(result)
    return stored


def _asset(asset_id: uuid.UUID, number: int, created_at: datetime) -> dict[str, Any]:
    words = random.sample(_WORDS, 3)
    name = f"{random.choice(_HAN)}_{'_'.join(words)}_{number}.mp3"
    title = " ".join(words[:2]).title() if random.random() < 0.5 else None
    return {
        "id": asset_id,
        "sha256": f"{number:064x}",
        "size_bytes": 4_000_000 + number,
        "name": name,
        "container": Container.MP3,
        "storage_key": f"audio/{asset_id}",
        "duration_s": 31.5,
        "sample_rate_hz": 44_100,
        "channels": 2,
        "title": title,
        "artist": random.choice(_ARTISTS),
        "sort_name": sort_name(title, name),
        "created_at": created_at,
    }


def _state(age: timedelta) -> JobState:
    if age < timedelta(hours=6):
        return random.choices([JobState.DONE, JobState.QUEUED], [0.7, 0.3])[0]
    return random.choices([JobState.DONE, JobState.FAILED, JobState.CANCELLED], [0.955, 0.035, 0.01])[0]


def _job(asset: dict[str, Any], state: JobState, **owner: uuid.UUID | None) -> dict[str, Any]:
    created_at = asset["created_at"]
    took = timedelta(seconds=random.lognormvariate(1, 0.6))
    job: dict[str, Any] = {
        "id": _id_at(created_at),
        "asset_id": asset["id"],
        "kind": JobKind.GENRE,
        "state": state,
        "attempt": 0 if state is JobState.QUEUED else 1,
        "rung_at": created_at,
        "created_at": created_at,
        "started_at": None if state is JobState.QUEUED else created_at + took / 3,
        "finished_at": None if state is JobState.QUEUED else created_at + took,
        **dict.fromkeys(
            ("result", "genre", "probability", "tier", "label", "error", "user_id", "api_key_id", "batch_id")
        ),
        **owner,
    }
    if state is JobState.DONE:
        genre, probability = random.randrange(len(GENRES)), random.betavariate(5, 2)
        job |= {"result": _result(probability, genre), "genre": GENRES[genre].id, "probability": probability}
        job["tier"] = tier_of(probability)
        job["label"] = random.choice(GENRES).id if probability < 0.55 else None
    if state is JobState.FAILED:
        code = random.choice(["audio_corrupt", "audio_empty", "file_gone", "audio_empty"])
        job["error"] = {"code": code, "params": {}}
    return job


def _review(job: dict[str, Any]) -> dict[str, Any]:
    return {
        "id": _id_at(job["finished_at"]),
        "job_id": job["id"],
        "reason": ReviewReason.LOW_PROBABILITY,
        "created_at": job["finished_at"],
        "state": ReviewState.DECIDED if job["label"] else ReviewState.OPEN,
        "genre": job["genre"],
        "probability": job["probability"],
        "batch_id": job["batch_id"],
        "label": job["label"],
        "decided_at": job["finished_at"] if job["label"] else None,
    }


def _decision(review: dict[str, Any], reviewer_id: uuid.UUID) -> dict[str, Any]:
    return {
        "id": _id_at(review["decided_at"]),
        "review_id": review["id"],
        "reviewer_id": reviewer_id,
        "reviewer": "Person 0",
        "genre": review["label"],
        "proposed_genre": review["genre"],
        "proposed_probability": review["probability"],
        "created_at": review["decided_at"],
    }


def _audit_entry(number: int, created_at: datetime) -> dict[str, Any]:
    return {
        "id": _id_at(created_at),
        "action": random.choice(["review.decide", "job.delete", "preferences.change", "api_key.create"]),
        "actor": random.choice(["Mira Sandoval", "Otto Brandt", "archive importer"]),
        "target_type": "job",
        "target_id": str(number),
        "details": {},
        "created_at": created_at,
    }


def _rows(total: int, people: list[uuid.UUID], key_id: uuid.UUID) -> Iterator[dict[Any, list[dict[str, Any]]]]:
    """The rows by table, some at a time, oldest first."""
    now = utc_now()
    batch_id: uuid.UUID | None = None
    owner: dict[str, uuid.UUID | None] = {}
    for start in range(0, total, _CHUNK):
        rows: dict[Any, list[dict[str, Any]]] = {
            table: [] for table in (Batch, Asset, SearchTerm, Job, Review, ReviewDecision, AuditEntry)
        }
        for number in range(start, min(start + _CHUNK, total)):
            created_at = now - timedelta(days=(total - number) / _PER_DAY)
            if number % _BATCH_LENGTH == 0:
                batch_id = _id_at(created_at) if number % (2 * _BATCH_LENGTH) == 0 else None
                owner = {"user_id": None, "api_key_id": key_id} if batch_id else {"user_id": random.choice(people)}
                if batch_id:
                    batch = {"id": batch_id, "name": f"Import {number}", "created_at": created_at, **owner}
                    rows[Batch].append(batch | {"finished_at": created_at + timedelta(hours=1)})
            asset = _asset(_id_at(created_at), number, created_at)
            job = _job(asset, _state(now - created_at), batch_id=batch_id, **owner)
            rows[Asset].append(asset)
            rows[SearchTerm] += [
                {"term": term, "asset_id": asset["id"]}
                for term in terms_of(asset["name"], asset["title"], asset["artist"])
            ]
            rows[Job].append(job)
            if (job["probability"] or 1) < 0.6:
                review = _review(job)
                rows[Review].append(review)
                rows[ReviewDecision] += [_decision(review, people[0])] if review["label"] else []
            if number % 5 == 0:
                rows[AuditEntry].append(_audit_entry(number, created_at))
        yield rows


async def fill(database: Database, total: int) -> None:
    """So many recordings, of three people and a program, some in batches, some reviewed."""
    random.seed(total)
    people, key_id = [new_id() for _ in range(3)], new_id()
    async with database.writing() as session:
        for number, user_id in enumerate(people):
            user = {"id": user_id, "issuer": "bench", "subject": str(number), "name": f"Person {number}"}
            await session.execute(insert(User), [{**user, "role": Role.UPLOADER}])
        key = {"id": key_id, "name": "importer", "prefix": "em_bench", "key_hash": "0" * 64, "webhook_secret": "none"}
        await session.execute(insert(ApiKey), [{**key, "role": Role.UPLOADER}])
    for rows in _rows(total, people, key_id):
        async with database.writing() as session:
            for table, values in rows.items():
                if values:
                    await session.execute(insert(table), values)
    if not database.is_sqlite:
        async with database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("VACUUM ANALYZE"))


# --- asking


async def _pages(database: Database) -> dict[str, str]:
    """Every page by what it shows, with addresses of things that there are."""
    async with database.reading() as session:
        done = select(Job.id).where(Job.state == JobState.DONE).order_by(Job.id.desc()).limit(2)
        first, second = (await session.scalars(done)).all()
        batch_id = await session.scalar(select(Batch.id).order_by(Batch.id.desc()).offset(1).limit(1))
        review_id = await session.scalar(select(Review.id).where(Review.state == ReviewState.DECIDED).limit(1))
        key_id = await session.scalar(select(ApiKey.id).limit(1))
        number = (await session.scalars(select(Asset.name).order_by(Asset.id).limit(1))).one().split("_")[-1]
    library = {
        "newest": "",
        "by name": "order=name",
        "least certain": "order=least_certain",
        "one genre": "genre=opera",
        "one genre, least certain": "genre=opera&order=least_certain",
        "low confidence": "tier=low",
        "to be reviewed": "review=waiting",
        "reviewed, oldest": "review=decided&order=oldest",
        "failed": "state=failed",
        "one batch": f"batch={batch_id}",
        "one program": f"by=key-{key_id}",
        "common word": "text=river",
        "two words": "text=river+golden",
        "two characters": "text=广告",
        "one recording by name": f"text={number.removesuffix('.mp3')}",
        "word that is not there": "text=zzzz",
        "word, genre, confidence": "text=river&genre=opera&tier=medium",
        "long ago": "until=" + (utc_now() - timedelta(days=20)).date().isoformat(),
    }
    others = {
        "upload": "/",
        "batches": "/batches",
        "batch": f"/batches/{batch_id}",
        "reviews": "/reviews",
        "one review": f"/reviews/{review_id}",
        "next review": "/reviews/desk",
        "review figures": "/reviews/figures",
        "genres": "/genres",
        "recording": f"/jobs/{first}",
        "compare": f"/compare?left={first}&right={second}",
        "compare, choosing": f"/compare?left={first}&text=river",
        "dashboard": "/dashboard",
        "settings": "/admin/settings",
        "people": "/admin/people",
        "API keys": "/api-keys",
        "models": "/admin/models",
        "audit log": "/admin/audit",
        "audit log, one person": "/admin/audit?text=Otto",
        "webhooks": "/webhooks",
        "help": "/help",
    }
    return {f"library, {name}": f"/library?{query}" for name, query in library.items()} | others


CLOCKS: dict[str, Callable[[], float]] = {"wall": time.perf_counter, "cpu": time.process_time}


async def _median_ms(client: httpx.AsyncClient, address: str, times: int, clock: Callable[[], float]) -> float | None:
    """None for an address that leads nowhere."""
    taken = []
    for _ in range(times + 1):
        begun = clock()
        answer = await client.get(address)
        taken.append((clock() - begun) * 1000)
        if answer.status_code == httpx.codes.NOT_FOUND:
            return None
        answer.raise_for_status()
    return statistics.median(taken[1:])  # the first one opens files and fills caches


@asynccontextmanager
async def _signed_in(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    parts: WebParts = app.state.parts
    identity = Identity(issuer="bench", subject="admin", name="Bench", email=None, role=Role.ADMIN)
    async with parts.store.writing() as uow:
        session = await sign_in(uow, identity, lifetime=timedelta(hours=1))
    headers = {"accept": "text/html", "cookie": f"{cookie_name(parts.config)}={session}"}
    # httpx and Litestar write the types of an ASGI application in their own ways.
    transport = httpx.ASGITransport(app=app)  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url=parts.config.base_url, headers=headers) as client:
        yield client


async def measure(dsn: str, total: int, times: int, clock: Callable[[], float]) -> dict[str, float]:
    """Median by page, in milliseconds, with so many recordings in an emptied database."""
    database = Database(dsn)
    await downgrade(database, "base")
    await upgrade(database)
    await fill(database, total)
    pages = await _pages(database)
    await database.close()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(data_dir=Path(folder), database_url=dsn)
        app = create_app(settings)
        async with app.lifespan(), _signed_in(app) as client:
            medians = {name: await _median_ms(client, address, times, clock) for name, address in pages.items()}
    return {name: median for name, median in medians.items() if median is not None}


def _report(few: dict[str, float], many: dict[str, float], sizes: tuple[int, int]) -> bool:
    """Print the table; is every page fast enough?"""
    good = True
    print(f"| page | {sizes[0]:,} recordings, ms | {sizes[1]:,} recordings, ms | growth |")
    print("|---|--:|--:|--:|")
    for name, later in many.items():
        growth = later / few[name]
        kept = later < MEDIAN_LIMIT_MS and growth < GROWTH_LIMIT
        good = good and kept
        print(f"| {name} | {few[name]:.1f} | {later:.1f} | {growth:.2f}{'' if kept else ' **missed**'} |")
    slowest = max(many, key=lambda name: many[name])
    growths = [many[name] / few[name] for name in many]
    print(f"\nslowest: {slowest}, {many[slowest]:.1f} ms; geometric mean of the growth: {_mean(growths):.2f}")
    return good


def _mean(ratios: list[float]) -> float:
    return math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))


async def _main(arguments: argparse.Namespace) -> int:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    sizes = (arguments.few, arguments.many)
    with tempfile.TemporaryDirectory() as folder:
        results = []
        for size in sizes:
            dsn = arguments.postgres or f"sqlite+aiosqlite:///{folder}/{size}.db"
            results.append(await measure(dsn, size, arguments.times, CLOCKS[arguments.clock]))
    few, many = results
    return 0 if _report(few, many, sizes) else 1


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=100_000)
    parser.add_argument("--times", type=int, default=15, help="how often each page is asked for")
    parser.add_argument(
        "--clock",
        choices=CLOCKS,
        default="wall",
        help="cpu: time of this process on all cores, which other programs hardly change; tells nothing of PostgreSQL",
    )
    parser.add_argument("--postgres", metavar="DSN", help="a PostgreSQL database; everything in it is deleted")
    return asyncio.run(_main(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
