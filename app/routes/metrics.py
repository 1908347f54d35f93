"""Metrics in the format of Prometheus: what the database knows, the state of the disk, and what the web processes counted."""

from __future__ import annotations

import asyncio
import hmac
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import structlog
from litestar import Response, Router, get
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector
from prometheus_client.registry import Collector

import app
from app.domain.jobs import CANCELLABLE_STATES, JobKind, JobState
from app.domain.workers import WorkerState
from app.errors import NotFound, TokenRefused
from app.routes.deps import Parts, WebParts, WebRequest
from app.routes.guards import UNASKED, public
from app.services.monitoring import Figures

log = structlog.stdlib.get_logger(__name__)

METRICS_PATH = "/metrics"
# Several web processes share their counts in the folder that this variable of prometheus_client names.
MULTIPROCESS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_TIMEOUT_S = 5.0
_QUANTILES = (0.5, 0.95)


def _gauge(name: str, help_text: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"earmark_{name}", help_text, labels=labels)


def _single(name: str, help_text: str, value: float | None) -> Iterator[Metric]:
    """A metric of one value, or nothing if there is none."""
    if value is not None:
        metric = _gauge(name, help_text)
        metric.add_metric([], value)
        yield metric


# --- what the database knows


def _jobs(figures: Figures) -> Iterator[Metric]:
    jobs = _gauge("jobs", "Jobs that are not finished.", "kind", "state")
    pending = sorted(CANCELLABLE_STATES)
    counts: Counter[tuple[str, str]] = Counter({(kind, state): 0 for kind in JobKind for state in pending})
    for one in figures.pending:
        counts[one.kind, one.state] += one.jobs
    for labels, count in counts.items():
        jobs.add_metric(labels, count)
    yield jobs
    recent = _gauge("recent_jobs", "Jobs that ended within the last 5 minutes.", "kind", "state", "reason")
    for ended in figures.recent:
        recent.add_metric([ended.kind, ended.state, ended.reason or ""], ended.jobs)
    yield recent


def _queue(figures: Figures) -> Iterator[Metric]:
    length = _gauge("queue_jobs", "Jobs that wait for a worker.", "lane")
    age = _gauge("queue_oldest_age_seconds", "How long the first job has waited that nobody has begun with.", "lane")
    for lane, bulk in (("urgent", False), ("bulk", True)):
        waiting = [one for one in figures.pending if one.state is JobState.QUEUED and one.bulk is bulk]
        length.add_metric([lane], sum(one.jobs for one in waiting))
        age.add_metric([lane], figures.longest_wait_s(bulk=bulk))
    yield from (length, age)


def _results(figures: Figures) -> Iterator[Metric]:
    name, help_text = "last_result_age_seconds", "Time since the last job was done."
    yield from _single(name, help_text, figures.last_result_age_s)
    waits = _gauge("recent_wait_seconds", "From upload to result, of single uploads of the last 5 minutes.", "quantile")
    for quantile in _QUANTILES if figures.recent_waits_s else ():
        waits.add_metric([str(quantile)], _quantile(figures.recent_waits_s, quantile))
    yield waits
    workers = _gauge("workers", "Worker processes heard of within the last 30 seconds.", "state")
    for state in WorkerState:
        workers.add_metric([state], figures.workers.get(state, 0))
    yield workers


def _quantile(values: Sequence[float], quantile: float) -> float:
    return values[min(len(values) - 1, int(quantile * len(values)))]


def _webhooks(figures: Figures) -> Iterator[Metric]:
    yield from _single(
        "webhook_due_deliveries", "Deliveries that should have been sent by now.", figures.due_deliveries
    )
    age_s = figures.oldest_due_delivery_s or 0.0
    yield from _single("webhook_oldest_due_age_seconds", "How late the latest due delivery is.", age_s)
    attempts = _gauge("webhook_recent_attempts", "Requests to webhooks within the last 5 minutes.", "outcome")
    for outcome, count in zip(("accepted", "failed"), figures.webhook_attempts, strict=True):
        attempts.add_metric([outcome], count)
    yield attempts


# --- what this process knows


def _installation(parts: WebParts, figures: Figures | None) -> Iterator[Metric]:
    build = _gauge("build_info", "1 for the version that runs.", "version")
    build.add_metric([app.__version__], 1)
    yield build
    yield from _single("database_up", "1 if the database answers.", float(figures is not None))
    yield from _single("queue_limit_jobs", "Jobs that may wait in each lane.", parts.queue_bound.limits.jobs)


def _disk(folder: Path) -> Iterator[Metric]:
    """Of the file system that holds the data folder."""
    usage = shutil.disk_usage(folder)
    yield from _single("disk_free_bytes", "Free space where the data folder lies.", usage.free)
    yield from _single("disk_size_bytes", "Size of the file system where the data folder lies.", usage.total)


class _Answer(Collector):
    """Metrics that were gathered for one answer."""

    def __init__(self, metrics: Sequence[Metric]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Metric]:
        yield from self._metrics


def _counted() -> CollectorRegistry:
    """What this process has counted, or all web processes if there are several."""
    if MULTIPROCESS_VARIABLE not in os.environ:
        return REGISTRY
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry


def _text(metrics: Sequence[Metric]) -> bytes:
    gathered = CollectorRegistry()
    gathered.register(_Answer(metrics))
    return generate_latest(gathered) + generate_latest(_counted())


_OF_THE_DATABASE: Sequence[Callable[[Figures], Iterator[Metric]]] = (_jobs, _queue, _results, _webhooks)


def metrics_of(parts: WebParts, figures: Figures | None) -> list[Metric]:
    """Without figures, because the database does not answer, only what needs none."""
    metrics = [*_installation(parts, figures), *_disk(parts.config.data_dir)]
    if figures is not None:
        metrics += [metric for read in _OF_THE_DATABASE for metric in read(figures)]
    return metrics


async def _figures(parts: WebParts) -> Figures | None:
    """None while the database does not answer: then the other metrics are all the more wanted."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            return await parts.figures.read(parts.store)
    except Exception as error:  # noqa: BLE001  whatever it is, earmark_database_up tells it
        log.warning("figures can't be read", error=f"{type(error).__name__}: {error}"[:300])
        return None


def _check_token(request: WebRequest, token: str | None) -> None:
    """
    Raises:
        NotFound: no token is set, so there are no metrics for anybody.
        TokenRefused: it is not the one.
    """
    if token is None:
        raise NotFound
    said = request.headers.get("authorization", "")
    if not hmac.compare_digest(said.encode(), f"Bearer {token}".encode()):
        raise TokenRefused


@get(
    METRICS_PATH,
    opt={**public("asks for the token of EARMARK_METRICS_TOKEN itself"), UNASKED: True},
    include_in_schema=False,
)
async def metrics(request: WebRequest, parts: Parts) -> Response[bytes]:
    _check_token(request, parts.config.metrics_token)
    found = metrics_of(parts, await _figures(parts))
    return Response(await asyncio.to_thread(_text, found), media_type=CONTENT_TYPE_LATEST)


def metrics_router() -> Router:
    return Router("/", route_handlers=[metrics])
