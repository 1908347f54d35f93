"""Metrics of real processes: several web processes count as one, and a worker whose port is taken says so."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.support.first_run import ROOT
from tests.support.processes import free_port, wait_for_port

TOKEN = "a token for the tests"
_REQUESTS = 20


def _earmark(command: str, data_dir: Path, temporary: Path, **settings: object) -> subprocess.Popen[str]:
    own = {"TMPDIR": str(temporary), "EARMARK_DATA_DIR": str(data_dir), "EARMARK_METRICS_TOKEN": TOKEN}
    variables = {f"EARMARK_{name.upper()}": str(value) for name, value in settings.items()}
    return subprocess.Popen(
        [sys.executable, "-m", "app.cli", command],
        cwd=ROOT,
        env={**os.environ, **own, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def _counted(url: str) -> float:
    answer = httpx.get(f"{url}/metrics", headers={"authorization": f"Bearer {TOKEN}"}, timeout=20)
    assert answer.status_code == 200, answer.text
    wanted = 'earmark_http_requests_total{method="GET",route="/health/live",status="200"} '
    return next((float(line.removeprefix(wanted)) for line in answer.text.splitlines() if line.startswith(wanted)), 0)


@pytest.mark.timeout(120)  # two processes, each of which imports everything
def test_whichever_web_process_is_asked_answers_for_all(tmp_path: Path):
    port, temporary = free_port(), tmp_path / "tmp"
    temporary.mkdir()
    process = _earmark("web", tmp_path / "data", temporary, port=port, web_processes=2)
    try:
        wait_for_port(port)
        url = f"http://127.0.0.1:{port}"
        for _ in range(_REQUESTS):  # each on a connection of its own, which either process may take
            assert httpx.get(f"{url}/health/live", timeout=20).status_code == 200
        assert {_counted(url) for _ in range(6)} == {_REQUESTS}
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert list(temporary.glob("earmark-metrics-*")) == []
    finally:
        process.kill()
        process.communicate()


def test_a_worker_whose_port_is_taken_says_so(tmp_path: Path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        process = _earmark("worker", tmp_path / "data", tmp_path, worker_metrics_port=port)
        said, complained = process.communicate(timeout=40)
    assert (process.returncode, said) == (2, "")
    [line] = complained.splitlines()
    assert line.startswith(f"EARMARK_WORKER_METRICS_PORT: can't listen on port {port}")
