"""From a folder of recordings to a model that is better at them, on the command line."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from app.cli import main
from tests.support.sounds import beats, chords, encode


@pytest.fixture
def earmark(tmp_path, monkeypatch, starter_bundle):
    """Runs a command with the starter as the active model; returns what it prints after a check of the exit code."""
    models_dir = tmp_path / "models"
    models_dir.mkdir()
    (models_dir / "starter").symlink_to(starter_bundle.parent)
    monkeypatch.setenv("EARMARK_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("EARMARK_MODELS_DIR", str(models_dir))

    def run(*arguments, code=0):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == code, result.output
        return result.stdout

    run("db", "upgrade")
    run("model", "activate", "starter")
    return run


@pytest.fixture
def recordings(tmp_path):
    """Four recordings of each of two genres, and one file that is none."""
    for genre, play in (("dance_pop", beats), ("chamber", chords)):
        folder = tmp_path / "music" / genre
        folder.mkdir(parents=True)
        for seed in range(4):
            (folder / f"{seed}.flac").write_bytes(encode(play(12, 22_050, seed=seed), 22_050, "flac"))
    (folder / "notes.txt").write_text("not audio")
    return tmp_path / "music"


@pytest.mark.timeout(600)
def test_a_fitted_model_is_measured_calibrated_and_listed(earmark, recordings, tmp_path):
    printed = earmark("model", "fit", str(recordings), "--name", "ours", "--epochs", "1")
    assert "ours/1: starter/1, fine-tuned (head) on 8 labelled recordings" in printed
    assert "It is active." in printed, "it takes the starter's place"
    assert "ours/1" in earmark("model", "list")
    assert "is intact" in earmark("model", "verify", "ours")
    found = json.loads(
        earmark("model", "evaluate", str(recordings), "--json", "--pictures", str(tmp_path / "pictures"))
    )
    assert (found["recordings"], found["accuracy"]) == (8, 1.0)
    assert {figures["genre"]: figures["recordings"] for figures in found["genres"] if figures["recordings"]} == {
        "chamber": 4,
        "dance_pop": 4,
    }
    assert {path.name for path in (tmp_path / "pictures").iterdir()} == {"confusion_matrix.svg", "reliability.svg"}
    table = earmark("model", "evaluate", str(recordings), "--model", "starter")
    assert "starter/1" in table
    assert "expected calibration error" in table
    assert "already" in CliRunner().invoke(main, ["model", "fit", str(recordings), "--name", "ours"]).output


def test_reviews_are_exported_from_an_empty_installation(earmark, tmp_path):
    assert earmark("model", "export-reviews", str(tmp_path / "set")).startswith("0 recordings written")
