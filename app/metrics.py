"""What each process counts by itself, for Prometheus. Names and labels are documented in docs/monitoring.

What the database knows is read there when it is asked for (``app.services.monitoring``), not counted here.
"""

from __future__ import annotations

from prometheus_client import Counter, Histogram, disable_created_metrics

# A second series for each, which says since when it counts.
disable_created_metrics()  # type: ignore[no-untyped-call]

_JOB_BUCKETS_S = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 7200)
_REQUEST_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

# --- web

HTTP_REQUESTS = Counter(
    "earmark_http_requests_total", "Requests answered, by the pattern of their path.", ("method", "route", "status")
)
HTTP_DURATION = Histogram(
    "earmark_http_request_duration_seconds",
    "From the head of a request to the end of its answer, without streams of events.",
    ("method", "route"),
    buckets=_REQUEST_BUCKETS_S,
)

# --- workers

JOBS_FINISHED = Counter(
    "earmark_worker_jobs_total", "Jobs that this worker has finished.", ("kind", "outcome", "reason")
)
STAGE_DURATION = Histogram(
    "earmark_stage_duration_seconds",
    "Stages of the jobs that this worker has done; total runs from the upload to the result.",
    ("stage", "lane"),
    buckets=_JOB_BUCKETS_S,
)
BATCH_WINDOWS = Histogram(
    "earmark_batch_windows", "Windows in one forward pass.", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256)
)
DEVICE_BUSY = Counter("earmark_device_busy_seconds_total", "Time during which at least one forward pass was under way.")
DECODER_RESTARTS = Counter(
    "earmark_decoder_restarts_total", "Decoder processes replaced because a file crashed them or took too long."
)
