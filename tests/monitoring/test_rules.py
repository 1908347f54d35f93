"""Alert rules and dashboard: right by Prometheus' own checker, and made of metrics that exist and are documented."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import REGISTRY

import app.metrics  # noqa: F401  what is counted
from app.integrations.gpus import GpuCollector
from app.routes.deps import parts_of_app
from app.routes.metrics import metrics_of
from app.services.monitoring import read_figures
from app.settings import Settings
from tests.support.factories import finish_job, make_job, make_principal
from tests.support.web import web_application

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "monitoring"
# Counters and histograms are named by their series.
SUFFIXES = ("_bucket", "_count", "_sum", "")
NAME = re.compile(r"\bearmark_[a-z_]+\b")


@pytest.fixture(scope="module")
def promtool() -> str:
    """Where tools/system_packages.sh puts it, or the system's own."""
    found = shutil.which("promtool", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}")
    assert found is not None, "sh tools/system_packages.sh"
    return found


@pytest.mark.parametrize("command", [("check", "alerts.yml"), ("test", "alerts.test.yml")])
def test_promtool_finds_the_rules_right(promtool: str, command: tuple[str, str]):
    verb, name = command
    done = subprocess.run([promtool, verb, "rules", name], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "SUCCESS" in done.stdout


def test_every_rule_is_tested():
    rules = re.findall(r"alert: (\w+)", (FOLDER / "alerts.yml").read_text())
    tested = re.findall(r"alertname: (\w+)\n\s+exp_alerts:", (FOLDER / "alerts.test.yml").read_text())
    assert set(tested) == set(rules)
    assert len(rules) == len(set(rules))


@pytest.fixture
async def existing(tmp_path: Path) -> set[str]:
    """The names of all metrics that processes of ours expose."""
    async with web_application(Settings(data_dir=tmp_path / "data")) as web:
        parts = parts_of_app(web)
        await finish_job(parts.store, (await make_job(parts.store, await make_principal(parts.store))).id)
        async with parts.store.reading() as uow:
            figures = await read_figures(uow)
        families = [*metrics_of(parts, figures), *GpuCollector().collect(), *REGISTRY.collect()]
    suffixes = {"counter": "_total"}
    return {one.name + suffixes.get(one.type, "") for one in families if one.name.startswith("earmark_")}


def _expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (text for key, text in value.items() if key == "expr")
        yield from (text for part in value.values() for text in _expressions(part))
    elif isinstance(value, list):
        yield from (text for part in value for text in _expressions(part))


def test_the_dashboard_has_a_place_for_each_panel():
    panels = json.loads((FOLDER / "dashboard.json").read_text())["panels"]
    taken = [
        (panel["gridPos"]["x"] + x, panel["gridPos"]["y"] + y)
        for panel in panels
        for x in range(panel["gridPos"]["w"])
        for y in range(panel["gridPos"]["h"])
    ]
    assert len(taken) == len(set(taken))
    assert len({panel["id"] for panel in panels}) == len(panels)


async def test_every_metric_that_is_named_exists_and_is_documented(existing: set[str]):
    expressions = list(_expressions(json.loads((FOLDER / "dashboard.json").read_text())))
    assert len(expressions) > 20
    named = set(NAME.findall(" ".join(expressions) + (FOLDER / "alerts.yml").read_text()))
    series = {name + suffix for name in existing for suffix in SUFFIXES}
    assert named - series == set()
    documented = set(NAME.findall((FOLDER / "README.md").read_text()))
    assert documented == existing
