"""From nothing to a genre, by API: `make run` on an empty folder, an API key, an upload, live events."""

from __future__ import annotations

import json

import httpx
import pytest

from tests.support.first_run import FirstRun
from tests.support.sounds import chords, encode

# The first of these tests waits for `make run` to build the starter model.
pytestmark = pytest.mark.timeout(480)


MP3 = encode(chords(14), 44_100, "mp3")


@pytest.fixture(scope="module")
def client(first_run: FirstRun):
    key = first_run.run("api-key", "create", "--name", "first-run", "--role", "uploader").strip()
    with httpx.Client(base_url=first_run.base_url, headers={"Authorization": f"Bearer {key}"}, timeout=60) as client:
        yield client


def _events(client: httpx.Client, address: str) -> list[dict]:
    """The jobs that the stream of a job's events carries, until it ends."""
    with client.stream("GET", address, headers={"Accept": "text/event-stream"}) as response:
        assert response.status_code == 200
        lines = [line for line in response.iter_lines() if line.startswith("data:")]
    return [json.loads(line.removeprefix("data:")) for line in lines if line.removeprefix("data:").strip()]


def test_upload_events_and_result(client: httpx.Client):
    created = client.post("/api/v1/jobs", files={"file": ("Ünï 晨曲.mp3", MP3, "audio/mpeg")})
    assert created.status_code == 202, created.text
    address = created.headers["location"]
    events = _events(client, f"{address}/events")
    assert events[-1]["state"] == "done", events[-1]
    job = client.get(address).json()
    assert job == events[-1]
    result = job["result"]
    assert len(result["probabilities"]) == 16
    assert sum(score["probability"] for score in result["probabilities"]) == pytest.approx(1, abs=1e-3)
    assert result["model"]["starter"] is True
    assert job["asset"]["name"] == "Ünï 晨曲.mp3"
    picture = client.get(f"{address}/spectrogram.png")
    assert picture.headers["content-type"] == "image/png"
    assert picture.content.startswith(b"\x89PNG")
    part = client.get(f"{address}/audio", headers={"Range": "bytes=0-99"})
    assert (part.status_code, len(part.content)) == (206, 100)
    assert client.delete(address).status_code == 204
    assert client.get(address).status_code == 404


def test_a_whole_recording_gives_a_timeline(client: httpx.Client):
    song = encode(chords(65), 44_100, "mp3")
    created = client.post("/api/v1/jobs", params={"analyse": "full"}, files={"file": ("long.mp3", song, "audio/mpeg")})
    assert created.status_code == 202, created.text
    job = _events(client, f"{created.headers['location']}/events")[-1]
    assert (job["state"], job["scope"]) == ("done", "full"), job
    result = job["result"]
    assert result["analysed_seconds"] == pytest.approx(65, abs=0.2)
    starts = [window["start_s"] for window in result["windows"]]
    # Edge to edge; the last two belong to the last 30 s.
    assert starts == pytest.approx([3.622, 15.0, 26.378, 37.756, 38.622, 50.0], abs=0.2)
    mean = [sum(column) / len(starts) for column in zip(*(w["probabilities"] for w in result["windows"]), strict=True)]
    assert result["top1"]["probability"] == pytest.approx(max(mean), abs=1e-4)


def test_a_second_start_finds_the_data_and_ctrl_c_leaves_nothing_running(client: httpx.Client, first_run: FirstRun):
    created = client.post("/api/v1/jobs", files={"file": ("again.mp3", MP3, "audio/mpeg")})
    first_run.interrupt()
    assert "Earmark has stopped" in first_run.output[-1]
    assert first_run.remains() == []
    first_run.start()
    events = _events(client, f"{created.headers['location']}/events")
    assert events[-1]["state"] == "done", events[-1]
