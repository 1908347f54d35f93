"""Benches of real processes: start, memory, the way through the queue, one worker against two."""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
from click import ClickException

from app.cli.bench import material
from app.cli.bench.installation import Installation, Process, installation
from app.cli.bench.report import Figure, Section, at_least, at_most
from app.cli.bench.stages import stage_timings
from app.cli.bench.subject import Bench
from app.cli.bench.timing import percentile, process_memory_bytes
from app.inference.bundle import Bundle, Description, write_bundle

_DIFFERENT_CLIPS = 32
_UPLOADS_AT_ONCE = 8
_SINGLE_UPLOADS = 20
_WARM_UPS = 2
_PIPELINE_SHARE = 0.85
_SINGLE_TIMES, _SINGLE_EXTRA_MS = 1.5, 100
_WEB_START_S, _WORKER_START_S = 1.5, 5.0
_MEMORY_GB = {"fp32": 1.6, "bf16": 0.9}
_MEMORY_JOBS = 8
_TWO_WORKERS = 1.8
_JOBS_A_WORKER = 40
_STARTS = 3


@contextmanager
def _installed(bundle: Bundle, precision: str) -> Iterator[Installation]:
    with (
        tempfile.TemporaryDirectory(prefix="earmark-bench-") as folder,
        installation(Path(folder), bundle, precision) as found,
    ):
        yield found


def pipeline(bench: Bench) -> Section:
    """Uploads over HTTP, through queue and worker, to the recorded result, against the stages alone in the same run."""
    paths = material.clips(bench.clips_dir, min(_DIFFERENT_CLIPS, bench.files))
    contents = material.distinct([path.read_bytes() for path in paths], bench.files + _SINGLE_UPLOADS + _WARM_UPS)
    stages = stage_timings(bench, paths[:_MEMORY_JOBS])
    cores = len(os.sched_getaffinity(0))
    core_s = sum(stages[stage].cpu_s for stage in ("decode", "features", "forward among many"))
    alone_ms = 1e3 * sum(stages[stage].wall_s for stage in ("decode", "features", "forward"))
    with (
        _installed(bench.bundle, bench.plan.precision) as found,
        found.process("web"),
        found.process("worker") as worker,
    ):
        found.wait_for_web()
        worker.wait_for_line("worker ready")
        single = contents[: _SINGLE_UPLOADS + _WARM_UPS]
        latencies_ms = asyncio.run(_one_by_one(found, single))[_WARM_UPS:]
        before = len(single)
        asyncio.run(_all_at_once(found, contents[before:]))
        times = sorted(found.wait_until_finished(before + bench.files, worker))[before:]
    clips_per_s = bench.files / (max(finished for _, finished in times) - min(created for created, _ in times))
    ideal = cores / core_s
    return Section(
        f"Through the queue: {bench.files} MP3s of 30 s, {bench.plan.precision}",
        [
            *(Figure(f"{stage}, alone", 1e3 * timing.cpu_s, "ms of a core") for stage, timing in stages.items()),
            Figure("ideal", ideal, "clips/s"),
            Figure("upload to result", clips_per_s, "clips/s"),
            at_least("share of the ideal", clips_per_s / ideal, "", _PIPELINE_SHARE),
            Figure("single upload, sum of its stages", alone_ms, "ms"),
            Figure("single upload, median", percentile(latencies_ms, 0.5), "ms"),
            at_most(
                "single upload, P95",
                percentile(latencies_ms, 0.95),
                "ms",
                round(_SINGLE_TIMES * alone_ms + _SINGLE_EXTRA_MS),
            ),
        ],
    )


async def _one_by_one(target: Installation, contents: list[bytes]) -> list[float]:
    """Milliseconds from the beginning of each upload until its result is announced."""
    found = []
    async with _client(target) as client:
        for number, content in enumerate(contents):
            started_s = time.perf_counter()
            address = await _upload(client, f"single-{number}", content)
            async with client.stream("GET", f"{address}/events") as events:
                async for _ in events.aiter_lines():
                    pass
            found.append(1e3 * (time.perf_counter() - started_s))
    return found


async def _all_at_once(target: Installation, contents: list[bytes]) -> None:
    gate = asyncio.Semaphore(_UPLOADS_AT_ONCE)
    async with _client(target) as client:

        async def upload(number: int, content: bytes) -> None:
            async with gate:
                await _upload(client, f"clip-{number}", content)

        await asyncio.gather(*(upload(number, content) for number, content in enumerate(contents)))


def _client(target: Installation) -> httpx2.AsyncClient:
    """Uploads as a program does."""
    key = target.command("api-key", "create", "--name", f"bench-{time.time_ns()}", "--role", "uploader")
    return httpx2.AsyncClient(base_url=target.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=60)


async def _upload(client: httpx2.AsyncClient, name: str, content: bytes) -> str:
    answer = await client.post("/api/v1/jobs", files={"file": (f"{name}.mp3", content, "audio/mpeg")})
    if answer.status_code != httpx2.codes.ACCEPTED:
        raise ClickException(f"an upload was answered with {answer.status_code}: {answer.text[:300]}")
    address: str = answer.headers["location"]
    return address


def start(bench: Bench) -> Section:
    """From the command to readiness, with a checkpoint of the public one's size."""
    web_s, worker_s = [], []
    with _full_size(bench) as bundle, _installed(bundle, bench.plan.precision) as found:
        for _ in range(_STARTS):
            started_s = time.perf_counter()
            with found.process("web"):
                found.wait_for_web()
                web_s.append(time.perf_counter() - started_s)
            with found.process("worker") as worker:
                worker_s.append(worker.wait_for_line("worker ready"))
        size_mb = bundle.weights.stat().st_size / 1e6
    return Section(
        f"Start, with a checkpoint of {size_mb:.0f} MB",
        [
            at_most("earmark web, until /health/ready answers", percentile(web_s, 0.5), "s", _WEB_START_S),
            at_most("earmark worker, until it is ready", percentile(worker_s, 0.5), "s", _WORKER_START_S),
        ],
    )


def memory(bench: Bench) -> Section:
    """Resident memory of a worker that has worked, with a checkpoint of the public one's size."""
    paths = material.clips(bench.clips_dir, _MEMORY_JOBS)
    figures = []
    with _full_size(bench) as bundle:
        for precision in ("fp32", "bf16"):
            with _installed(bundle, precision) as found:
                with found.process("web"):
                    found.wait_for_web()
                    asyncio.run(_all_at_once(found, [path.read_bytes() for path in paths]))
                with found.process("worker") as worker:
                    found.wait_until_finished(len(paths), worker)
                    gigabytes = process_memory_bytes(worker.pid) / 1e9
            figures.append(at_most(f"worker, {precision}", gigabytes, "GB", _MEMORY_GB[precision]))
    return Section("Memory", figures)


def workers(bench: Bench) -> Section:
    """Two workers, pinned to a core each, against one: what several GPUs would do, a worker each."""
    if len(os.sched_getaffinity(0)) < 2:
        return Section("Two workers", [], ["This machine lets us use one core only."])
    first, second, *_ = sorted(os.sched_getaffinity(0))
    speeds = {1: _drained_per_s(bench, [first]), 2: _drained_per_s(bench, [first, second])}
    return Section(
        "Workers pinned to a core each",
        [
            Figure("one worker", speeds[1], "clips/s"),
            Figure("two workers", speeds[2], "clips/s"),
            at_least("two over one", speeds[2] / speeds[1], "x", _TWO_WORKERS),
        ],
    )


def _drained_per_s(bench: Bench, cores: list[int]) -> float:
    """Clips a second of a worker on each core, from a queue that was filled before, while all of them work.

    The first clips warm up, and with the last ones a worker may be left without any.
    """
    paths = material.clips(bench.clips_dir, _DIFFERENT_CLIPS)
    count = _JOBS_A_WORKER * len(cores)
    with _installed(bench.bundle, bench.plan.precision) as found:
        with found.process("web"):
            found.wait_for_web()
            contents = material.distinct([path.read_bytes() for path in paths], count)
            asyncio.run(_all_at_once(found, contents))
        with _workers_on(found, cores) as process:
            ends = sorted(finished for _, finished in found.wait_until_finished(count, process))
    first, last = count // 4, count - 1 - count // 8
    return (last - first) / (ends[last] - ends[first])


@contextmanager
def _workers_on(found: Installation, cores: list[int]) -> Iterator[Process]:
    first, *others = cores
    settings = {"threads": "1", "decode_processes": "1"}
    with found.process("worker", cores=[first], **settings) as process:
        if not others:
            yield process
            return
        with _workers_on(found, others):
            yield process


@contextmanager
def _full_size(bench: Bench) -> Iterator[Bundle]:
    """The model in float32, as large as the public checkpoint."""
    with tempfile.TemporaryDirectory(prefix="earmark-bench-") as folder:
        description = Description(
            name="full-size", version="1", source="bench", limits="for measuring only", metrics={}
        )
        yield write_bundle(Path(folder), description, {name: tensor.float() for name, tensor in bench.state.items()})
