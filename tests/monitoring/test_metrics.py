"""Metrics: who may ask, what they say, and that they say the truth."""

from __future__ import annotations

import http.client
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
from litestar import Litestar
from prometheus_client import REGISTRY
from prometheus_client.parser import text_string_to_metric_families
from sqlalchemy import update

from app.db.models import Job
from app.db.uow import Store
from app.domain.failures import Failure, FailureCode
from app.domain.ids import new_id, utc_now
from app.domain.jobs import AnalysisScope
from app.domain.workers import WorkerState
from app.inference.batching import MicroBatcher
from app.integrations.gpus import GpuCollector
from app.integrations.metrics_server import serving_metrics
from app.routes.deps import WebParts, parts_of_app
from app.services import monitoring
from app.services.analyses import record_failure
from app.services.monitoring import read_figures
from app.services.workers import report_worker
from app.settings import PREFIX, Settings, SettingsError, load_settings
from tests.support.factories import claim, finish_job, make_job, make_principal
from tests.support.stand_in_worker import StandIn, order
from tests.support.web import assert_problem, program, web_application
from tests.workers.parts import analyst_with

TOKEN = "a token for the tests"
Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(text: str) -> Samples:
    families = text_string_to_metric_families(text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(samples: Samples, name: str, **labels: str) -> float | None:
    return samples.get((name, frozenset(labels.items())))


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "data", metrics_token=TOKEN, queue_limit=77)  # type: ignore[arg-type]


@pytest.fixture
async def app(settings: Settings) -> AsyncIterator[Litestar]:
    async with web_application(settings) as app:
        yield app


@pytest.fixture
async def prometheus(app: Litestar) -> AsyncIterator[httpx.AsyncClient]:
    async with program(app, TOKEN) as client:
        yield client


async def scraped(client: httpx.AsyncClient) -> Samples:
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=")
    return samples_of(answer.text)


# --- who may ask


async def test_metrics_are_for_whoever_has_the_token(app: Litestar):
    async with program(app, "another token") as other, program(app) as nobody:
        for client in (other, nobody):
            assert_problem(await client.get("/metrics"), 401, "token_refused")


async def test_without_a_token_there_are_none(tmp_path: Path):
    async with web_application(Settings(data_dir=tmp_path / "data")) as app, program(app, TOKEN) as client:
        assert_problem(await client.get("/metrics"), 404, "not_found")


def test_a_worker_does_not_show_its_own_to_a_network_without_a_token(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(PREFIX + "WORKER_METRICS_HOST", "0.0.0.0")
    with pytest.raises(SettingsError, match="METRICS_TOKEN"):
        load_settings()


# --- what the database knows


async def _happenings(store: Store) -> None:
    """One job of each sort: done, failed, running, and two that wait, one of them for an hour."""
    una = await make_principal(store)
    done, failed, running, waiting = [await make_job(store, una) for _ in range(4)]
    await make_job(store, una, scope=AnalysisScope.FULL)
    await finish_job(store, done.id)
    long_ago = utc_now() - timedelta(hours=1)
    async with store.writing() as uow:
        taken = await claim(uow, failed.id)
        await record_failure(uow, taken, Failure(FailureCode.DECODE_TIMEOUT, {"limit_s": 20}))
        await claim(uow, running.id)
        await uow.session.execute(update(Job).where(Job.id == waiting.id).values(created_at=long_ago))
        await report_worker(uow, new_id(), WorkerState.READY)


async def test_the_figures_are_true_on_each_database(store: Store):
    await _happenings(store)
    async with store.reading() as uow:
        figures = await read_figures(uow)
    assert {(one.state, one.bulk): one.jobs for one in figures.pending} == {
        ("queued", False): 1,
        ("queued", True): 1,
        ("running", False): 1,
    }
    assert {(one.state, one.reason): one.jobs for one in figures.recent} == {
        ("done", None): 1,
        ("failed", "decode_timeout"): 1,
    }
    assert len(figures.recent_waits_s) == 1
    assert figures.workers == {WorkerState.READY: 1}
    assert (figures.due_deliveries, figures.oldest_due_delivery_s, figures.webhook_attempts) == (0, None, (0, 0))


async def test_a_scrape_tells_what_the_database_knows(app: Litestar, prometheus: httpx.AsyncClient):
    await _happenings(parts_of_app(app).store)
    samples = await scraped(prometheus)
    assert value(samples, "earmark_jobs", kind="genre", state="queued") == 2
    assert value(samples, "earmark_jobs", kind="genre", state="running") == 1
    recent = {"kind": "genre", "state": "failed", "reason": "decode_timeout"}
    assert value(samples, "earmark_recent_jobs", **recent) == 1
    assert value(samples, "earmark_queue_jobs", lane="bulk") == 1
    age_s = value(samples, "earmark_queue_oldest_age_seconds", lane="urgent")
    assert age_s is not None
    assert 3600 <= age_s < 3700
    assert value(samples, "earmark_workers", state="ready") == 1
    assert value(samples, "earmark_workers", state="failed") == 0
    assert value(samples, "earmark_queue_limit_jobs") == 77
    assert value(samples, "earmark_database_up") == 1
    assert value(samples, "earmark_recent_wait_seconds", quantile="0.95") is not None
    free, size = value(samples, "earmark_disk_free_bytes"), value(samples, "earmark_disk_size_bytes")
    assert free is not None
    assert size is not None
    assert 0 < free < size


async def test_many_scrapes_ask_the_database_once(
    app: Litestar, prometheus: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
):
    asked = 0

    async def counted(uow):
        nonlocal asked
        asked += 1
        return await read_figures(uow)

    monkeypatch.setattr(monitoring, "read_figures", counted)
    for _ in range(5):
        await scraped(prometheus)
    assert asked == 1


async def test_without_a_database_the_rest_is_told(app: Litestar, prometheus: httpx.AsyncClient, settings: Settings):
    parts: WebParts = parts_of_app(app)
    await parts.store.database.close()
    for file in settings.data_dir.glob("earmark.db*"):
        file.unlink()
    samples = await scraped(prometheus)
    assert value(samples, "earmark_database_up") == 0
    assert value(samples, "earmark_queue_jobs", lane="bulk") is None
    assert value(samples, "earmark_disk_free_bytes") is not None


# --- what processes count


async def test_requests_are_counted_by_the_pattern_of_their_path(prometheus: httpx.AsyncClient):
    labels = {"method": "GET", "route": "/api/v1/jobs/{job_id}", "status": "401"}
    nowhere = {"method": "GET", "route": "none", "status": "404"}
    before = await scraped(prometheus)
    for _ in range(2):
        await prometheus.get(f"/api/v1/jobs/{new_id()}")
        await prometheus.get(f"/nowhere/{new_id()}")
    after = await scraped(prometheus)
    for counted in (labels, nowhere):
        name = "earmark_http_requests_total"
        assert (value(after, name, **counted) or 0) - (value(before, name, **counted) or 0) == 2
    route = {"method": "GET", "route": labels["route"]}
    assert (value(after, "earmark_http_request_duration_seconds_count", **route) or 0) >= 2


async def test_a_worker_counts_its_jobs_and_their_stages(store: Store, files):
    una = await make_principal(store)
    done = {"kind": "genre", "outcome": "done", "reason": ""}
    corrupt = {"kind": "genre", "outcome": "failed", "reason": "audio_corrupt"}

    def counts() -> list[float]:
        names = [("earmark_worker_jobs_total", done), ("earmark_worker_jobs_total", corrupt)]
        names.append(("earmark_stage_duration_seconds_count", {"stage": "decode", "lane": "urgent"}))
        return [REGISTRY.get_sample_value(name, labels) or 0 for name, labels in names]

    before = counts()
    analyst = analyst_with(store, files, StandIn())
    for do in ("done", "corrupt"):
        job = await make_job(store, una)
        await files.put_bytes(f"audio/{job.asset.id}", order(do))
        await analyst.handle(job.id)
    assert [now - then for now, then in zip(counts(), before, strict=True)] == [1, 1, 1]


async def test_batches_and_the_time_they_take_are_counted():
    import numpy as np  # noqa: PLC0415

    from app.inference.fake import FakeNetwork  # noqa: PLC0415

    def counts() -> list[float]:
        names = ("earmark_batch_windows_count", "earmark_batch_windows_sum", "earmark_device_busy_seconds_total")
        return [REGISTRY.get_sample_value(name) or 0 for name in names]

    before = counts()
    batcher = MicroBatcher(FakeNetwork(), batch_windows=8)
    batcher.start()
    await batcher.score(np.zeros((3, 224, 224, 3), np.uint8))
    await batcher.close()
    batches, windows, busy_s = (now - then for now, then in zip(counts(), before, strict=True))
    assert (batches, windows) == (1, 3)
    assert busy_s > 0


def _ask(port: int, **headers: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/metrics", headers=headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, text


def test_a_worker_answers_on_a_port_of_its_own():
    with serving_metrics("127.0.0.1", 0, token=TOKEN) as port:
        assert _ask(port)[0] == 401
        status, text = _ask(port, authorization=f"Bearer {TOKEN}")
        assert status == 200
        assert "earmark_decoder_restarts_total" in text
        with socket.create_connection(("127.0.0.1", port)):
            pass  # says nothing and leaves
        assert _ask(port, authorization=f"Bearer {TOKEN}")[0] == 200


def test_gpus_tell_what_the_driver_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    program = tmp_path / "nvidia-smi"
    program.write_text("#!/bin/sh\necho '0, 1024, 81559, 37'\necho '1, 2, 81559, [N/A]'\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    found = {(one.name, one.labels["gpu"]): one.value for metric in GpuCollector().collect() for one in metric.samples}
    assert found == {
        ("earmark_gpu_memory_used_bytes", "0"): 1024 * 2**20,
        ("earmark_gpu_memory_used_bytes", "1"): 2 * 2**20,
        ("earmark_gpu_memory_size_bytes", "0"): 81559 * 2**20,
        ("earmark_gpu_memory_size_bytes", "1"): 81559 * 2**20,
        ("earmark_gpu_utilisation_ratio", "0"): 0.37,
    }


def test_without_a_gpu_nothing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert [one for metric in GpuCollector().collect() for one in metric.samples] == []
