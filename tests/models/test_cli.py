"""The command `earmark model`, on a data folder of its own."""

from __future__ import annotations

import hashlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
import torch
from click.testing import CliRunner

from app.cli import main
from app.inference.bundle import WEIGHTS_FILE, Description, write_bundle
from app.inference.choices import Choice, Choices, Measured
from app.inference.openvino_trunk import default_threads
from tests.support.bundles import hollow_state

STARTER = Description(
    name="starter", version="1", source="a test", limits="Toy.", metrics={"accuracy": 0.97}, starter=True
)


@pytest.fixture
def earmark(tmp_path, monkeypatch):
    """Runs a command; returns its output after a check of the exit code."""
    monkeypatch.setenv("EARMARK_DATA_DIR", str(tmp_path / "data"))

    def run(*arguments, code=0):
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == code, result.output
        return result.output

    run("db", "upgrade")
    return run


@pytest.fixture
def checkpoint(tmp_path):
    path = tmp_path / "save.pt"
    torch.save(hollow_state(), path)
    return path


@pytest.fixture
def models_dir(tmp_path):
    return tmp_path / "data" / "models"


@pytest.fixture
def starter(models_dir):
    return write_bundle(models_dir, STARTER, hollow_state())


def test_an_imported_checkpoint_takes_over_from_the_starter(earmark, checkpoint, starter):
    earmark("model", "activate", "starter")
    assert earmark("model", "list") == "* starter/1\tstarter, a test, accuracy: 97.0%\n"
    assert "ccmusic/1: imported from save.pt" in earmark("model", "import", str(checkpoint))
    assert (
        earmark("model", "list")
        == "* ccmusic/1\timported from save.pt\n  starter/1\tstarter, a test, accuracy: 97.0%\n"
    )
    assert "there is a model ccmusic/1 already" in earmark("model", "import", str(checkpoint), code=1)
    # From now on the choice is the user's.
    assert "To use it: earmark model activate starter/1" in earmark("model", "starter")
    assert "starter/1 is active" in earmark("model", "activate", "starter/1")
    assert "* starter/1" in earmark("model", "list")


def test_a_model_is_rolled_back_and_another_put_into_the_shadow(earmark, checkpoint, starter):
    assert "No other model was active" in earmark("model", "rollback", code=1)
    earmark("model", "activate", "starter")
    earmark("model", "import", str(checkpoint))
    assert earmark("model", "rollback") == "starter/1 is active again.\n"
    assert "no model is in the shadow" in earmark("model", "shadow", "--report", code=1)
    assert "ccmusic/1 scores 25% of the uploads" in earmark("model", "shadow", "ccmusic", "--share", "0.25")
    assert "ccmusic/1 against starter/1: 0 uploads" in earmark("model", "shadow", "--report")
    assert "The active model answers everything already" in earmark("model", "shadow", "starter", code=1)
    assert earmark("model", "shadow", "--off") == "No model is in the shadow.\n"
    assert "ccmusic/1 against starter/1: 0 uploads" in earmark("model", "shadow", "ccmusic/1", "--report")
    assert "say which model" in earmark("model", "shadow", code=2)
    assert "0<x<=1" in earmark("model", "shadow", "ccmusic", "--share", "0", code=2)
    assert "There is no model called “nothing”" in earmark("model", "shadow", "nothing", code=1)


def test_an_intact_starter_is_not_built_again(earmark, starter):
    before = starter.weights.stat()
    output = earmark("model", "starter")
    assert "accuracy: 97.0%" in output
    assert "It is active" in output
    assert starter.weights.stat() == before


def test_a_damaged_model_is_named_and_not_activated(earmark, starter):
    assert earmark("model", "verify") == "starter/1 is intact\n"
    with starter.weights.open("ab") as file:
        file.write(b"!")
    for command in ("verify", "activate"):
        output = earmark("model", command, "starter/1", code=1)
        assert f"{starter.path}/{WEIGHTS_FILE}: it is damaged" in output
        assert "earmark model import" in output
    assert earmark("model", "list").startswith("  starter/1")


def test_a_model_that_is_not_there_is_named(earmark):
    assert "there is no model called nothing" in earmark("model", "activate", "nothing", code=1)
    assert "card.json: it can't be read" in earmark("model", "activate", "nothing/1", code=1)
    assert "there is no model in" in earmark("model", "verify", code=1)


def test_a_refused_checkpoint_is_explained_in_one_line(earmark, tmp_path, models_dir):
    path = tmp_path / "save.pt"
    path.touch()
    output = earmark("model", "import", str(path), code=1)
    assert output == f"Error: {path}: it is no PyTorch checkpoint, or it is damaged.\n"
    assert list(models_dir.iterdir()) == []


def test_a_folder_with_too_little_in_it_is_explained(earmark, starter, tmp_path):
    earmark("model", "activate", "starter")
    (tmp_path / "music").mkdir()
    assert "at least two genres" in earmark("model", "fit", str(tmp_path / "music"), code=1)


@pytest.fixture
def server(checkpoint):
    """A web server with the checkpoint on it."""
    handler = partial(SimpleHTTPRequestHandler, directory=checkpoint.parent)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_checkpoint_is_downloaded_checked_and_imported(earmark, checkpoint, server, models_dir):
    assert "EARMARK_MODEL_URL" in earmark("model", "pull", code=1)
    assert "can't be downloaded" in earmark("model", "pull", "--url", f"{server}/missing.pt", code=1)
    assert "not 00; nothing was imported" in earmark(
        "model", "pull", "--url", f"{server}/save.pt", "--sha256", "00", code=1
    )
    assert list(models_dir.iterdir()) == []
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest()
    output = earmark("model", "pull", "--url", f"{server}/save.pt", "--sha256", digest)
    assert "ccmusic/1: imported from save.pt" in output
    assert [entry.name for entry in models_dir.iterdir()] == ["ccmusic"]


def test_the_long_list_says_what_each_precision_costs(earmark, tmp_path):
    bundle = write_bundle(tmp_path / "data" / "models", STARTER, hollow_state())
    choices = Choices(tmp_path / "data" / "cache", bundle.card.sha256, default_threads())
    found = Measured(
        precision="int8",
        windows_per_s=20.5,
        same_answers=0.96875,
        mean_difference=0.0025,
        worst_difference=0.11,
        holds=False,
    )
    assert "int8" not in earmark("model", "list", "--long")
    choices.keep_choice(Choice(precision="bf16", batch_windows=4, measured=[found]))
    listed = earmark("model", "list", "--long")
    assert "int8: 20.5 windows/s, same first choice as fp32 in 96.9%" in listed
    assert "too far for auto" in listed
    assert "auto: bf16, 4 windows at once" in listed
    assert "int8" not in earmark("model", "list")
