"""Requests by the hundred, made up from the description, against a real server: it answers as described, never with a 500."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import CHECKS, load_all_checks
from schemathesis.transport.serialization import serialize_binary

from app.domain.submissions import PART_BYTES
from app.main import create_app
from app.settings import Settings
from tests.support.processes import free_port, serving

load_all_checks()
# A description can't say that a host must exist, a cursor come from us or a batch be one's own: such requests are valid by
# it and refused all the same. That refusals have one of the described statuses is checked.
EXCLUDED = [CHECKS.get_one("positive_data_acceptance")]


@schemathesis.serializer("text/csv", "application/jsonl", "application/x-ndjson", "audio/*")
def _as_it_is(_: Any, value: Any) -> Any:
    return serialize_binary(value)


schema = schemathesis.openapi.from_dict(create_app(Settings.model_construct()).openapi_schema.to_schema())


class Site:
    """A server with one of each thing; tests read what is there by its id."""

    def __init__(self, address: str, key: str) -> None:
        self.address = address
        self.headers = {"Authorization": f"Bearer {key}"}
        self.known: dict[str, str] = {}

    def fill(self) -> None:
        with httpx.Client(base_url=self.address, headers=self.headers) as api:
            job = api.post("/api/v1/jobs", files={"file": ("a.mp3", b"ID3" + bytes(4000))}).json()
            api.post(f"/api/v1/jobs/{job['id']}/cancel").raise_for_status()  # or following it would never end
            batch = api.post("/api/v1/batches", json={"name": "Spring"}).json()
            upload = api.post("/api/v1/uploads", json={"name": "a.wav", "size_bytes": PART_BYTES}).json()
        self.known = {"job_id": job["id"], "batch_id": batch["id"], "upload_id": upload["id"]}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    port = free_port()
    settings_ = {"DATA_DIR": str(tmp_path_factory.mktemp("data")), "PORT": str(port), "RATE_LIMITS": "{}"}
    environment = os.environ | {f"EARMARK_{name}": value for name, value in settings_.items()}
    earmark = [sys.executable, "-m", "app.cli"]
    subprocess.run([*earmark, "db", "upgrade"], env=environment, check=True, capture_output=True)
    create = [*earmark, "api-key", "create", "--name", "schemathesis", "--role", "admin"]
    key = subprocess.run(create, env=environment, check=True, capture_output=True, text=True).stdout.strip()
    with serving([*earmark, "web"], port, env=environment):
        site = Site(f"http://127.0.0.1:{port}", key)
        site.fill()
        yield site


@schema.hook("map_query")
def _never_wait(_: Any, query: dict[str, Any] | None) -> dict[str, Any] | None:
    return {name: value for name, value in query.items() if name != "wait"} if query else query


@pytest.mark.timeout(120)
@schema.parametrize()
@settings(
    max_examples=5,
    deadline=None,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)
def test_the_server_answers_as_described(case: Case, site: Site):
    assert case.meta is not None
    if case.meta.generation.mode is GenerationMode.POSITIVE:
        case.path_parameters |= {name: known for name, known in site.known.items() if name in case.path_parameters}
    case.call_and_validate(base_url=site.address, headers=site.headers, excluded_checks=EXCLUDED, timeout=20)
