"""Debian's ClamAV beside Earmark: what it finds is refused and written down; while it is away nothing is accepted."""

from __future__ import annotations

import asyncio
import dataclasses
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from app.db.models import AuditEntry
from app.db.uow import Store
from app.domain.addresses import IntranetHosts
from app.domain.jobs import JobState
from app.domain.preferences import Preferences
from app.domain.submissions import JobOptions
from app.errors import ScannerUnavailable
from app.integrations.clamd import Clamd
from app.integrations.files import Files
from app.integrations.queue import RedisOutside
from app.resources import Resources
from app.routes.deps import WebParts, parts_of_app
from app.services import jobs, submissions
from app.settings import Settings
from tests.support.clamav import EICAR, SIGNATURE, STREAM_LIMIT_BYTES, Scanner, clamd
from tests.support.factories import make_principal
from tests.support.receiver import receiver
from tests.support.web import assert_problem, make_key, program, rows, web_application
from workers.sources import SourceFetcher

# ClamAV knows MP3 and Ogg by their beginnings and looks no further; in FLAC it looks.
CLEAN = b"fLaC" + bytes(4000)
INFECTED = b"fLaC" + bytes(2000) + EICAR + bytes(2000)


@pytest.fixture(scope="session")
def scanner() -> Iterator[Scanner]:
    with tempfile.TemporaryDirectory() as folder, clamd(Path(folder)) as found:
        yield found


@pytest.fixture(params=["unix", "tcp"])
def url(request: pytest.FixtureRequest, scanner: Scanner) -> str:
    return scanner.unix_url if request.param == "unix" else scanner.tcp_url


async def _chunks(*contents: bytes) -> AsyncIterator[bytes]:
    for content in contents:
        yield content


# --- the client


async def test_what_is_clean_and_what_is_not(url: str):
    client = Clamd(url)
    await client.check()
    assert await client.scan(_chunks(CLEAN, b"", CLEAN)) is None
    assert (await client.scan(_chunks(EICAR)) or "").startswith(SIGNATURE)
    assert (await client.scan(_chunks(CLEAN, EICAR[:20], EICAR[20:])) or "").startswith(SIGNATURE)
    assert await client.scan(_chunks()) is None


async def test_many_at_once(url: str):
    client = Clamd(url)
    found = await asyncio.gather(*(client.scan(_chunks(EICAR if number % 2 else CLEAN)) for number in range(10)))
    assert [bool(signature) for signature in found] == [False, True] * 5


async def test_what_is_too_large_for_the_scanner_was_not_scanned(url: str):
    with pytest.raises(ScannerUnavailable):
        await Clamd(url).scan(_chunks(*[bytes(100_000)] * (2 * STREAM_LIMIT_BYTES // 100_000)))


@pytest.mark.parametrize("missing", ["unix:///nowhere/clamd.ctl", "tcp://127.0.0.1:1"])
async def test_a_scanner_that_is_not_there(missing: str):
    with pytest.raises(ScannerUnavailable):
        await Clamd(missing).scan(_chunks(CLEAN))
    with pytest.raises(ScannerUnavailable):
        await Clamd(missing).check()


@pytest.mark.parametrize("answer", [b"", b"stream: OK", b"stream: Heuristics ERROR\0", b"\0", b"x" * 10_000])
async def test_an_answer_that_is_none_is_no_yes(answer: bytes):
    async def reply(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(answer)
        writer.close()

    server = await asyncio.start_server(reply, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server:
        with pytest.raises(ScannerUnavailable):
            await Clamd(f"tcp://127.0.0.1:{port}").scan(_chunks(CLEAN))


# --- uploads


@pytest.fixture
async def api(tmp_path: Path, sqlite_dsn: str, scanner: Scanner) -> AsyncIterator[tuple[httpx.AsyncClient, WebParts]]:
    settings = Settings(data_dir=tmp_path, database_url=sqlite_dsn, clamd_url=scanner.unix_url)
    async with web_application(settings) as app, program(app, await make_key(parts_of_app(app))) as client:
        yield client, parts_of_app(app)


async def test_readiness_tells_of_the_scanner(api: tuple[httpx.AsyncClient, WebParts]):
    client, _ = api
    assert (await client.get("/health/ready")).json()["scanner"] == "ok"


async def _as_form(client: httpx.AsyncClient, content: bytes) -> httpx.Response:
    return await client.post("/api/v1/jobs", files={"file": ("a.flac", content, "audio/flac")})


async def _as_body(client: httpx.AsyncClient, content: bytes) -> httpx.Response:
    return await client.post("/api/v1/jobs", content=content, headers={"content-type": "audio/flac"})


async def _in_parts(client: httpx.AsyncClient, content: bytes) -> httpx.Response:
    begun = (await client.post("/api/v1/uploads", json={"name": "a.flac", "size_bytes": len(content)})).json()
    for part in begun["parts"]:
        sent = await client.put(part["url"], content=content, headers={"authorization": ""})
        assert sent.status_code == 200
    return await client.post(f"/api/v1/uploads/{begun['id']}/complete")


WAYS = {"form": _as_form, "body": _as_body, "parts": _in_parts}


async def _refusals(store: Store) -> list[AuditEntry]:
    async with store.reading() as uow:
        return list(await uow.session.scalars(select(AuditEntry).where(AuditEntry.action == "upload.refuse")))


def _stored(folder: Path) -> list[Path]:
    return [path for path in (folder / "files" / "audio").rglob("*") if path.is_file()]


@pytest.mark.parametrize("way", WAYS)
async def test_an_infected_upload_is_refused_and_written_down(api, tmp_path: Path, way: str):
    client, parts = api
    assert (await WAYS[way](client, CLEAN)).status_code in {200, 202}
    before = _stored(tmp_path)
    problem = assert_problem(await WAYS[way](client, INFECTED), 422, "file_infected")
    assert SIGNATURE in problem["detail"]
    assert _stored(tmp_path) == before
    assert len(before) == 1
    [entry] = await _refusals(parts.store)
    assert (entry.actor, entry.api_key_id is not None) == ("tester", True)
    assert entry.details["signature"].startswith(SIGNATURE)


@pytest.mark.parametrize("way", WAYS)
async def test_while_the_scanner_is_away_nothing_is_accepted(tmp_path: Path, sqlite_dsn: str, way: str):
    settings = Settings(data_dir=tmp_path, database_url=sqlite_dsn, clamd_url=f"unix://{tmp_path}/clamd.ctl")
    async with web_application(settings) as app, program(app, await make_key(parts_of_app(app))) as client:
        answer = await WAYS[way](client, CLEAN)
        assert_problem(answer, 503, "scanner_unavailable")
        assert answer.headers["retry-after"]
        assert _stored(tmp_path) == []
        assert await rows(parts_of_app(app)) == (0, 0)


# --- recordings that are fetched


async def test_what_was_fetched_is_scanned_too(sqlite_store: Store, files: Files, scanner: Scanner):
    una = await make_principal(sqlite_store)
    parts = Resources(sqlite_store.database, RedisOutside("redis://127.0.0.1:1/0"), sqlite_store, files, "")
    parts = dataclasses.replace(parts, scanner=Clamd(scanner.unix_url))
    preferences = Preferences(review_threshold=0.6, upload_limit_bytes=10_000)
    async with receiver() as archive:
        archive.answer = INFECTED
        async with sqlite_store.writing() as uow:
            job = await submissions.submit_source(uow, una, archive.url, JobOptions())
        await SourceFetcher(IntranetHosts.parse(["127.0.0.0/8"]), preferences).fetch_due(parts)
    async with sqlite_store.reading() as uow:
        job = await jobs.get_job(uow, una, job.id)
    assert job.state is JobState.FAILED
    assert job.error is not None
    assert (job.error.code, SIGNATURE in job.error.detail) == ("source_infected", True)
    [entry] = await _refusals(sqlite_store)
    assert (entry.actor, entry.target_id) == ("Earmark", str(job.id))


@pytest.mark.parametrize("url", ["http://127.0.0.1", "tcp://", "unix:", "/run/clamav/clamd.ctl"])
def test_an_address_of_no_scanner_is_named(url: str):
    with pytest.raises(ValueError, match="must look like"):
        Settings(clamd_url=url)
