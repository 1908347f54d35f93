"""How long the server takes for each page of the portal, with few and with very many recordings (`make bench-portal`).

Fills two databases of its own (SQLite, or with --postgres DSN a PostgreSQL that may be emptied) and asks the whole application,
in this process and without a network. Each page is asked for many times; its median counts.
"""

from __future__ import annotations

import json
import random
import uuid
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import insert, text

from app.db.engine import Database
from app.db.models import ApiKey, Asset, AuditEntry, Batch, Job, Review, SearchTerm, User
from app.domain.genres import GENRES, tier_of
from app.domain.ids import new_id, utc_now
from app.domain.jobs import JobKind, JobState, ReviewReason
from app.domain.media import Container
from app.domain.permissions import Role
from app.domain.results import ModelRef, Timings, Window, genre_result
from app.domain.reviews import ReviewState
from app.domain.search import sort_name, terms_of

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
    return json.loads(json.dumps(result, default=_plain))  # type: ignore[no-any-return]


def _plain(value: object) -> object:
    return {name: getattr(value, name) for name in value.__struct_fields__}  # type: ignore[attr-defined]


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
    for start in range(0, total, _CHUNK):
        rows: dict[Any, list[dict[str, Any]]] = {
            table: [] for table in (Batch, Asset, SearchTerm, Job, Review, AuditEntry)
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
                rows[Review].append(_review(job))
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
        key = {"id": key_id, "name": "importer", "prefix": "em_bench", "key_hash": "0" * 64, "role": Role.UPLOADER}
        await session.execute(insert(ApiKey), [key])
    for rows in _rows(total, people, key_id):
        async with database.writing() as session:
            for table, values in rows.items():
                if values:
                    await session.execute(insert(table), values)
    if not database.is_sqlite:
        async with database.engine.connect() as connection:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("VACUUM ANALYZE"))
