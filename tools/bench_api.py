"""How fast the API takes uploads and gives jobs, against bare handlers on the same server, in one run: `make bench-api`.

Everything shares this machine's cores, the sender too; rounds alternate, and the medians are compared. Exit code 1: a figure
misses its goal.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from app.cli.ports import free_port
from app.db.engine import Database
from app.db.models import Asset, Job
from app.domain.genres import GENRES
from app.domain.ids import utc_now
from app.domain.jobs import JobKind, JobState
from app.domain.media import Container
from app.domain.results import ModelRef, Timings, Window, genre_result
from app.integrations.valkey import EmbeddedValkey

ROOT = Path(__file__).resolve().parents[1]
WEB = [sys.executable, "-m", "app.cli", "web"]
BARE = [sys.executable, "-m", "tools.bare_servers"]
ROUNDS = 3
UPLOAD_BYTES = 5_000_000
UPLOADS = 60
UPLOADS_AT_ONCE = 4
READ_S = 4.0
READERS = 64
LARGE_BYTES = 30_000_000
LARGE_AT_ONCE = 50
MEMORY_GOAL_MB = 200
BOUNDARY = "bench"


# --- a sender that costs little itself


def _request(method: str, path: str, body_bytes: int = 0, **headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"content-length: {body_bytes}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode()


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *pieces: bytes) -> int:
    """Send and read the answer; returns its status."""
    for piece in pieces:
        writer.write(piece)
        await writer.drain()
    head = await reader.readuntil(b"\r\n\r\n")
    fields = dict(line.split(b": ", 1) for line in head.lower().split(b"\r\n")[1:] if b": " in line)
    if b"content-length" in fields:
        await reader.readexactly(int(fields[b"content-length"]))
    else:
        while (size := int(await reader.readline(), 16)) or await reader.readline() != b"\r\n":
            await reader.readexactly(size + 2)
    return int(head.split(b" ", 2)[1])


@asynccontextmanager
async def _connection(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def _multipart(size_bytes: int) -> bytes:
    """Every file is another one."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="a.mp3"\r\n\r\nID3'
    return head.encode() + secrets.token_bytes(64) + bytes(size_bytes) + f"\r\n--{BOUNDARY}--\r\n".encode()


async def uploads_per_s(port: int, path: str, key: str) -> float:
    left = iter(range(UPLOADS))

    async def send() -> None:
        async with _connection(port) as (reader, writer):
            for _ in left:
                body = _multipart(UPLOAD_BYTES)
                head = _request("POST", path, len(body), authorization=f"Bearer {key}", content_type=_FORM)
                assert await _exchange(reader, writer, head, body) == 202

    started = time.perf_counter()
    await asyncio.gather(*(send() for _ in range(UPLOADS_AT_ONCE)))
    return UPLOADS / (time.perf_counter() - started)


async def reads_per_s(port: int, path: str, key: str) -> float:
    request = _request("GET", path, authorization=f"Bearer {key}")
    ends_at = time.perf_counter() + READ_S

    async def read() -> int:
        count = 0
        async with _connection(port) as (reader, writer):
            while time.perf_counter() < ends_at:
                assert await _exchange(reader, writer, request) == 200
                count += 1
        return count

    return sum(await asyncio.gather(*(read() for _ in range(READERS)))) / READ_S


_FORM = f"multipart/form-data; boundary={BOUNDARY}"


async def large_uploads(port: int, key: str) -> None:
    """All of them under way at the same time: each sends a piece in turn."""
    body = _multipart(LARGE_BYTES - 200)
    pieces = [body[start : start + 1_000_000] for start in range(0, len(body), 1_000_000)]
    head = _request("POST", "/api/v1/jobs?force=true", len(body), authorization=f"Bearer {key}", content_type=_FORM)

    async def send() -> None:
        async with _connection(port) as (reader, writer):
            assert await _exchange(reader, writer, head, *pieces) == 202

    await asyncio.gather(*(send() for _ in range(LARGE_AT_ONCE)))


# --- the servers


def _children(pid: int) -> list[int]:
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(child) for child in path.read_text().split()]


def peak_memory_mb(pid: int) -> float:
    """Of the process that serves: granian's worker."""
    status = Path(f"/proc/{_children(pid)[0]}/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1000


@asynccontextmanager
async def server(command: list[str], port: int, **environment: str) -> AsyncIterator[int]:
    process = subprocess.Popen(  # noqa: ASYNC220  nothing else is going on
        command, cwd=ROOT, env=os.environ | environment, start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError):
                    async with _connection(port):
                        break
                await asyncio.sleep(0.1)
        yield process.pid
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(20)


def _earmark(*arguments: str, **environment: str) -> str:
    command = [sys.executable, "-m", "app.cli", *arguments]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environment, check=True, capture_output=True, text=True
    ).stdout.strip()


async def a_finished_job(database: str) -> str:
    """Path of a job with a real result."""
    row = [0.7] + [0.02] * (len(GENRES) - 1)
    result = genre_result(
        [Window(0.0, 11.4, row), Window(11.4, 22.8, row)],
        analysed_seconds=30.0,
        audible=True,
        timings_ms=Timings(queued=5, fetch=1, decode=30, features=20, forward=60, total=116),
        model=ModelRef(name="bench", version="1", sha256="0" * 64, starter=True),
    )
    asset = Asset(sha256="0" * 64, size_bytes=1, name="track.mp3", container=Container.MP3)
    job = Job(asset=asset, kind=JobKind.GENRE, state=JobState.DONE, attempt=1, finished_at=utc_now())
    job.result, job.genre, job.probability = msgspec.to_builtins(result), result.top1.genre, result.top1.probability
    job.tier = result.tier
    store = Database(database)
    async with store.writing() as session:
        session.add(job)
    await store.close()
    return f"/api/v1/jobs/{job.id}"


async def _read(port: int, path: str, key: str) -> str:
    async with httpx2.AsyncClient(base_url=f"http://127.0.0.1:{port}") as api:
        return (await api.get(path, headers={"authorization": f"Bearer {key}"})).text


Measure = Callable[[], Coroutine[Any, Any, float]]


async def ratio(name: str, ours: Measure, bare: Measure, goal: float) -> bool:
    pairs = [(await bare(), await ours()) for _ in range(ROUNDS)]
    bare_rate, our_rate = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    print(
        f"{name:<46}{our_rate:>8.1f} /s{bare_rate:>10.1f} /s{our_rate / bare_rate:>8.2f}   goal {goal:.2f}", flush=True
    )
    return bool(our_rate / bare_rate >= goal)


async def _compare(settings: dict[str, str], folder: Path, key: str) -> list[bool]:
    port, bare_port, constant_port = int(settings["EARMARK_PORT"]), free_port(), free_port()
    path = await a_finished_job(f"sqlite+aiosqlite:///{settings['EARMARK_DATA_DIR']}/earmark.db")
    async with server(WEB, port, **settings):
        answer = await _read(port, path, key)
        uploading = {"BENCH_SERVER": "upload", "BENCH_FOLDER": str(folder)}
        constant = {"BENCH_SERVER": "constant", "BENCH_CONSTANT": answer}
        async with (
            server([*BARE, str(bare_port)], bare_port, **uploading),
            server([*BARE, str(constant_port)], constant_port, **constant),
        ):
            return [
                await ratio(
                    "upload of 5 MB / bare handler, to a file",
                    lambda: uploads_per_s(port, "/api/v1/jobs", key),
                    lambda: uploads_per_s(bare_port, "/", key),
                    0.5,
                ),
                await ratio(
                    "GET of a finished job / constant of Litestar",
                    lambda: reads_per_s(port, path, key),
                    lambda: reads_per_s(constant_port, "/", key),
                    0.3,
                ),
            ]


async def _weigh(settings: dict[str, str], key: str) -> bool:
    port = int(settings["EARMARK_PORT"])
    async with server(WEB, port, **settings) as pid:
        before_mb = peak_memory_mb(pid)
        await large_uploads(port, key)
        peak_mb = peak_memory_mb(pid)
    print(
        f"memory with 50 uploads of 30 MB at once: {peak_mb:.0f} MB (idle {before_mb:.0f})   goal {MEMORY_GOAL_MB} MB"
    )
    return peak_mb < MEMORY_GOAL_MB


async def main() -> int:
    with tempfile.TemporaryDirectory() as folder:
        data, sink = Path(folder) / "data", Path(folder) / "sink"
        data.mkdir()
        sink.mkdir()
        settings = {
            "EARMARK_DATA_DIR": str(data),
            "EARMARK_PORT": str(free_port()),
            "EARMARK_LOG_FORMAT": "json",
            "EARMARK_RATE_LIMITS": '{"uploader": 1000000000}',
        }
        _earmark("db", "upgrade", **settings)
        key = _earmark("api-key", "create", "--name", "bench", **settings)
        valkey = EmbeddedValkey(data)
        valkey.start()
        try:
            good = [*await _compare(settings, sink, key), await _weigh(settings, key)]
        finally:
            valkey.stop()
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(asyncio.run(main()))
