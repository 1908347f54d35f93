"""`earmark bench`: what it prints, how it counts; the figures themselves are for quiet machines."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from app.cli import main
from app.cli.bench import material, report, sandbox, stages
from app.cli.bench.subject import Bench
from app.cli.bench.timing import interleaved, percentile
from app.inference.bundle import Description, write_bundle
from app.settings import Settings
from tests.support.bundles import random_state
from tests.support.sounds import chords, encode


@pytest.fixture
def earmark(tmp_path, monkeypatch):
    monkeypatch.setenv("EARMARK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("EARMARK_PRECISION", "fp32")
    return lambda *arguments: CliRunner().invoke(main, arguments)


def test_a_percentile_is_one_of_the_values():
    values = [float(value) for value in range(1, 21)]
    assert (percentile(values, 0.5), percentile(values, 0.95), percentile(values, 1)) == (10, 19, 20)
    assert percentile([7.0], 0.5) == 7


def test_cases_take_turns():
    calls = []
    timings = interleaved({"a": lambda: calls.append("a"), "b": lambda: calls.append("b")}, rounds=2)
    assert calls == ["a", "b"] * 3, "once to warm up, then in turns"
    assert all(timing.wall_s >= 0 for timing in timings.values())


def test_repeated_recordings_become_different_files():
    files = material.distinct([b"one", b"two"], 5)
    assert len(set(files)) == 5
    assert [content[:3] for content in files] == [b"one", b"two", b"one", b"two", b"one"]


def test_a_missed_target_is_known():
    met, missed = report.at_most("a", 1, "s", 2), report.at_least("b", 1, "x", 2)
    found = report.Report({}, {}, {}, [report.Section("s", [met, missed, report.Figure("c", 1, "")])])
    assert (met.met, missed.met) == (True, False)
    assert found.missed == [missed]


def test_without_the_model_it_says_what_to_do(earmark):
    result = earmark("bench", "--model", "nobody/1", "model")
    assert result.exit_code == 1
    assert "nobody/1" in result.output
    assert "earmark model import" in result.output


@pytest.mark.timeout(180)
def test_decoding_is_measured_and_printed_as_json_and_as_a_table(earmark, tmp_path, monkeypatch):
    monkeypatch.setattr(stages, "_FILES", 2)
    description = Description(name="starter", version="1", source="a test", limits="none", metrics={})
    halves = {name: tensor.bfloat16() for name, tensor in random_state().items()}
    write_bundle(tmp_path / "data" / "models", description, halves)
    result = earmark("bench", "--rounds", "1", "--json", "decode")
    found = json.loads(result.stdout)
    [section] = found["sections"]
    assert {figure["name"] for figure in section["figures"]} >= {"MP3: Earmark", "FLAC: ratio", "WAV: librosa.load"}
    assert all(figure["value"] > 0 for figure in section["figures"])
    assert result.exit_code == (1 if any(figure["met"] is False for figure in section["figures"]) else 0)
    assert found["machine"]["cores"].isdigit()
    assert found["settings"]["precision"] == "fp32: fp32"
    table = earmark("bench", "--rounds", "1", "decode").stdout
    assert "MP3: ratio" in table
    assert "Machine" in table


def test_the_cost_of_the_sandbox_is_what_both_ends_take_beyond_decoding(tmp_path, monkeypatch):
    (tmp_path / "a.mp3").write_bytes(encode(chords(5), 44_100, "mp3"))
    monkeypatch.setattr(material, "clips", lambda *_: [tmp_path / "a.mp3"])
    subject = Bench(Settings(data_dir=tmp_path, models_dir=tmp_path), bundle=None, rounds=1, files=8)  # type: ignore[arg-type]
    inside, here, cost = sandbox.sandbox(subject).figures
    assert min(inside.value, here.value) > 0
    assert cost.value == pytest.approx(inside.value - here.value)
    assert cost.met is (cost.value <= 5)
