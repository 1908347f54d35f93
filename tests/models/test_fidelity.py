"""With the starter, Earmark answers what the reference program answers; `earmark bench fidelity` shows it for more clips."""

from __future__ import annotations

import pytest
from click import ClickException

from app.cli.bench.fidelity import fidelity
from app.cli.bench.material import clips
from app.cli.bench.subject import Bench
from app.inference.bundle import verify
from app.inference.device import cpu_computes_bf16
from app.settings import Settings

# The starter is built by the first test that needs it.
pytestmark = pytest.mark.timeout(600)

CLIPS = 12


@pytest.fixture
def bench(starter_bundle, tmp_path):
    settings = Settings(data_dir=tmp_path, precision="bf16" if cpu_computes_bf16() else "fp32")
    return Bench(settings, verify(starter_bundle), rounds=1, files=CLIPS)


def test_answers_are_those_of_the_reference(bench, tmp_path):
    folder = tmp_path / "clips"
    clips(folder, CLIPS)
    (folder / "notes.txt").write_text("no recording")
    section = fidelity(bench, folder)
    found = {figure.name: figure.value for figure in section.figures}
    assert (found["recordings"], found["windows"]) == (CLIPS, 2 * CLIPS)
    assert section.notes[0].startswith("1 files left out")
    assert found["mean pixel error, on [0, 1]"] <= 0.002
    assert found["the reference's mean first probability"] > 0.4, "a network without opinions would prove nothing"
    titles = [name.partition(":")[0] for name in found if name.endswith("same first choice, of clips")]
    assert f"{bench.settings.precision} (default here)" in titles
    for title in set(titles) - {"int8"}:
        assert found[f"{title}: same first choice, of clips"] == 1
        assert found[f"{title}: mean difference of probabilities"] < 0.005
    assert found["int8: same first choice, of clips"] >= 0.75


def test_a_folder_without_recordings_is_refused(bench, tmp_path):
    with pytest.raises(ClickException, match="no recording"):
        fidelity(bench, tmp_path)
