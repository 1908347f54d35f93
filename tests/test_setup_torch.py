"""The set-up's one place that makes torch and torchaudio fit the machine."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "tools" / "setup_torch.py"


@pytest.fixture
def setup_torch():
    spec = importlib.util.spec_from_file_location("setup_torch", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_torchaudio_resamples_beside_the_torch_of_this_environment():
    code = (
        "import torch, torchaudio\n"
        "wave = torch.sin(torch.arange(22050) * 0.05)\n"
        "print(len(torchaudio.functional.resample(wave, 22050, 8000)))\n"
    )
    run = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stdout) == (0, "8000\n"), run.stderr


def test_running_it_again_changes_nothing(setup_torch):
    library = setup_torch.torchaudio_library()
    before = sorted(path.name for path in library.iterdir())
    assert any(name in before for name in (setup_torch.EXTENSION, setup_torch.SET_ASIDE))
    subprocess.run([sys.executable, str(SCRIPT)], check=True, env={"EARMARK_TORCH": "cpu"})
    assert sorted(path.name for path in library.iterdir()) == before


def test_the_compiled_extension_is_set_aside_beside_a_cpu_torch_and_put_back_beside_a_cuda_torch(setup_torch, tmp_path):
    extension, set_aside = tmp_path / setup_torch.EXTENSION, tmp_path / setup_torch.SET_ASIDE
    extension.write_bytes(b"compiled")
    for _ in range(2):
        setup_torch.fit_torchaudio(tmp_path, cuda=False)
        assert not extension.exists()
        assert set_aside.read_bytes() == b"compiled"
    for _ in range(2):
        setup_torch.fit_torchaudio(tmp_path, cuda=True)
        assert extension.read_bytes() == b"compiled"
        assert not set_aside.exists()


@pytest.mark.parametrize(
    ("choice", "has_gpu", "wanted"),
    [("auto", False, False), ("auto", True, True), ("cpu", True, False), ("cuda", False, True)],
)
def test_a_machine_with_a_gpu_gets_the_cuda_build_unless_told_otherwise(setup_torch, choice, has_gpu, wanted):
    assert setup_torch.wants_cuda(choice, has_gpu=has_gpu) is wanted


def test_a_wrong_choice_is_named(setup_torch):
    with pytest.raises(SystemExit, match="EARMARK_TORCH is 'gpu'"):
        setup_torch.wants_cuda("gpu", has_gpu=False)


def test_a_local_offer_of_wheels_is_ignored_for_the_cuda_build_and_other_settings_are_kept(
    setup_torch, monkeypatch, tmp_path
):
    config = tmp_path / "pip.conf"
    config.write_text("[global]\nfind-links = /wheels\ntimeout = 77\n[install]\nextra-index-url = http://offers.test\n")
    monkeypatch.setenv("PIP_CONFIG_FILE", str(config))
    monkeypatch.setenv("PIP_FIND_LINKS", "/other-wheels")
    env = setup_torch.environment_without_local_offers()
    assert env["PIP_TIMEOUT"] == "77"
    assert not {"PIP_FIND_LINKS", "PIP_EXTRA_INDEX_URL"} & env.keys()
    assert env["PIP_CONFIG_FILE"] == "/dev/null"


@pytest.mark.parametrize("found_before", [False, True])
def test_the_cuda_build_is_installed_only_where_it_is_missing(setup_torch, monkeypatch, tmp_path, found_before):
    """Downloading gigabytes can't be tested here: pip is replaced by a list of what it was asked for."""
    asked = []
    answers = iter([found_before, True])
    monkeypatch.setenv("EARMARK_TORCH", "cuda")
    monkeypatch.setattr(setup_torch, "torch_has_cuda", lambda: next(answers))
    monkeypatch.setattr(setup_torch, "torchaudio_library", lambda: tmp_path)
    monkeypatch.setattr(setup_torch, "pip", lambda *arguments, **_: asked.append(arguments[0]) or "")
    (tmp_path / setup_torch.SET_ASIDE).touch()
    setup_torch.main()
    assert [call for call in asked if call != "config"] == ([] if found_before else ["uninstall", "install"])
    assert (tmp_path / setup_torch.EXTENSION).exists()
