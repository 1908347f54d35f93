"""Memory stays what it is over twenty thousand jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.domain.jobs import JobState
from tests.support.families import children_of, resident_bytes
from tests.support.postgres import PostgresServer
from tests.support.service import Service
from tests.support.stand_in_worker import order
from tests.support.under_load import UnderLoad, under_load

pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]

JOBS = 20_000
SAMPLES = 20
WEB_LIMIT_BYTES = 200_000_000
GROWTH_LIMIT = 1.05


def content(number: int) -> bytes:
    return b"ID3 number %d\n" % number + order("done")


def processes(service: Service) -> dict[str, int]:
    [web] = children_of(service.find("earmark web"))
    return {"web": web, "worker": service.find("earmark worker"), "chores": service.find("earmark chores")}


async def samples_of(busy: UnderLoad, pids: dict[str, int]) -> dict[str, list[int]]:
    """Resident memory of each process in bytes, after each twentieth of the jobs."""
    samples: dict[str, list[int]] = {name: [] for name in pids}
    for part in range(1, SAMPLES + 1):
        await busy.until_done(JOBS * part // SAMPLES)
        for name, pid in pids.items():
            samples[name].append(resident_bytes(pid))
    return samples


async def test_no_process_grows_over_twenty_thousand_jobs(tmp_path: Path, postgres: PostgresServer):
    """On PostgreSQL, where uploads and workers do not wait for one another."""
    database_url = postgres.create_database("memory")
    async with under_load(
        Service(tmp_path / "data", rate_limits="{}", database_url=database_url), content=content
    ) as busy:
        pids = processes(busy.service)
        busy.load.begin(JOBS, per_s=1000)
        samples = await samples_of(busy, pids)
        assert await busy.ended() == {JobState.DONE: JOBS}
        assert processes(busy.service) == pids  # none has ended meanwhile
    for name, sizes in samples.items():
        print(name, [round(size / 1e6) for size in sizes], "MB")
        first, second = sizes[: SAMPLES // 2], sizes[SAMPLES // 2 :]
        assert max(second) <= GROWTH_LIMIT * max(first), name
    assert max(samples["web"]) < WEB_LIMIT_BYTES
