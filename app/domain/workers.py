"""The life of a worker process."""

from __future__ import annotations

import enum


class WorkerState(enum.StrEnum):
    STARTING = "starting"
    READY = "ready"
    STOPPING = "stopping"
    FAILED = "failed"


# A worker that has not been heard of for this long counts as gone.
WORKER_GONE_AFTER_S = 30
