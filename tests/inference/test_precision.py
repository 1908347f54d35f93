"""Precisions on a processor: each computes the same network, and only what keeps the answers is chosen."""

from __future__ import annotations

import json
import os
import sys
import threading

import numpy as np
import pytest
import torch

from app.inference import adaptive, selfcheck
from app.inference.adaptive import AdaptiveNetwork
from app.inference.bundle import write_bundle
from app.inference.check_clips import calibration_pictures
from app.inference.choices import Choice, Choices, Measured, cpu
from app.inference.cpu_network import CpuNetwork
from app.inference.device import choose_placement
from app.inference.gpu_network import GpuNetwork
from app.inference.network import TorchNetwork
from app.inference.openvino_trunk import TrunkPlan
from app.inference.picture import FeatureExtractor
from app.inference.selfcheck import calibrate, likeness
from tests.support.bundles import a_description, random_state

THREADS = 2


@pytest.fixture(scope="module")
def state():
    return random_state()


@pytest.fixture(scope="module")
def pictures():
    return np.random.default_rng(1).integers(0, 256, (5, 224, 224, 3), np.uint8)


@pytest.fixture(scope="module")
def plain(state, pictures):
    """What torch answers in float32."""
    return TorchNetwork(state, choose_placement("cpu", "fp32")).forward(pictures)


@pytest.fixture(scope="module")
def peaks(state):
    return calibrate(state, FeatureExtractor(), threads=THREADS)


@pytest.fixture(scope="module", params=["fp32", "bf16", "int8"])
def network(request, state):
    peaks = request.getfixturevalue("peaks") if request.param == "int8" else None
    return request.param, CpuNetwork(state, TrunkPlan(request.param, peaks, THREADS))


def test_every_precision_computes_the_network(network, pictures, plain):
    precision, computed = network
    answers = computed.forward(pictures)
    assert plain.std(axis=0).max() > 1e-3, "a network without opinions would prove nothing"
    np.testing.assert_allclose(answers, plain, atol={"fp32": 2e-5, "bf16": 0.05, "int8": 0.15}[precision])


def test_a_window_scores_the_same_in_any_company(network, pictures):
    _, computed = network
    together = computed.forward(pictures)
    alone = np.concatenate([computed.forward(picture[np.newaxis]) for picture in pictures])
    backwards = computed.forward(pictures[::-1])[::-1]
    np.testing.assert_allclose(alone, together, atol=0.005)
    np.testing.assert_allclose(backwards, together, atol=0.005)


def test_the_number_of_threads_makes_no_difference(network, state, peaks, pictures):
    precision, computed = network
    plan = TrunkPlan(precision, peaks if precision == "int8" else None, threads=1)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        alone = CpuNetwork(state, plan).forward(pictures)
    finally:
        torch.set_num_threads(before)
    np.testing.assert_allclose(alone, computed.forward(pictures), atol=0.005)


def test_pictures_that_may_not_be_written_to_are_read(network, pictures):
    frozen = pictures[:1].copy()
    frozen.flags.writeable = False
    _, computed = network
    np.testing.assert_allclose(computed.forward(frozen), computed.forward(pictures[:1]), atol=1e-6)


def test_a_picture_of_another_size_is_refused(network):
    _, computed = network
    with pytest.raises(ValueError, match="pictures must be"):
        computed.forward(np.zeros((1, 223, 224, 3), np.uint8))


def test_the_device_path_computes_the_same(state, pictures, plain):
    network = GpuNetwork(state, choose_placement("cpu", "fp32"))
    answers = {}

    def forward(name):
        answers[name] = network.forward(pictures[name : name + 2])

    threads = [threading.Thread(target=forward, args=(start,)) for start in (0, 2, 3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    network.close()
    for start, found in answers.items():
        np.testing.assert_allclose(found, plain[start : start + 2], atol=2e-5)
    assert len(answers) == len(threads)


def test_the_built_in_clips_are_always_the_same():
    first, second = (calibration_pictures(FeatureExtractor()) for _ in range(2))
    assert first.shape == (16, 224, 224, 3)
    np.testing.assert_array_equal(first, second)


def _probabilities(best, second=0.0):
    rows = np.full((len(best), 16), 0.01, np.float32)
    rows[np.arange(len(best)), best] = 0.85
    rows[:, 15] += second
    return rows


def test_what_keeps_the_answers_holds():
    reference = _probabilities(np.arange(15))
    assert likeness(reference, reference + 0.001).holds


def test_one_changed_answer_in_fifteen_does_not_hold():
    reference = _probabilities(np.arange(15))
    changed = _probabilities(np.array([1, *range(1, 15)]))
    found = likeness(reference, changed)
    assert not found.holds
    assert found.same_answers == pytest.approx(14 / 15)


def test_a_toss_up_that_falls_otherwise_does_not_count():
    reference = _probabilities(np.arange(15), second=0.839)
    fallen = _probabilities(np.arange(15), second=0.841)
    found = likeness(reference, fallen)
    assert found.same_answers == 0
    assert found.holds


def test_probabilities_far_off_do_not_hold():
    reference = _probabilities(np.arange(15))
    assert not likeness(reference, np.clip(reference - 0.2, 0, 1)).holds


@pytest.fixture
def choices(tmp_path):
    return Choices(tmp_path / "cache", "ab" * 32, THREADS)


def _choice(precision="bf16"):
    found = Measured(
        precision=precision, windows_per_s=9, same_answers=1, mean_difference=0, worst_difference=0, holds=True
    )
    return Choice(precision=precision, batch_windows=2, measured=[found])


def test_a_choice_is_kept(choices):
    assert choices.choice() is None
    choices.keep_choice(_choice())
    assert choices.choice() == _choice()
    assert Choices(choices.folder, choices.model_sha256, THREADS + 1).choice() is None, "measured with other threads"
    assert Choices(choices.folder, "cd" * 32, THREADS).choice() is None, "measured for another model"


@pytest.mark.parametrize("damage", [b"", b"{", b'{"precision": "fp4", "batch_windows": 1, "measured": []}'])
def test_a_damaged_choice_counts_for_none(choices, damage):
    choices.keep_choice(_choice())
    [path] = choices.folder.iterdir()
    path.write_bytes(damage)
    assert choices.choice() is None


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("model name\t: Fast\nflags\t\t: avx2 amx_bf16\n\nmodel name\t: Fast\n", ("Fast", {"avx2", "amx_bf16"})),
        ("Features\t: asimd bf16\n", (None, {"asimd", "bf16"})),
    ],
)
def test_the_processor_is_known_by_name_and_abilities(tmp_path, lines, expected):
    path = tmp_path / "cpuinfo"
    path.write_text(lines)
    name, flags = cpu(path)
    assert flags == expected[1]
    assert name == expected[0] or expected[0] is None


@pytest.mark.timeout(180)
def test_the_fastest_that_holds_is_chosen(state, pictures, choices, monkeypatch):
    monkeypatch.setattr(selfcheck, "judging_pictures", lambda _: pictures[:4])
    monkeypatch.setattr(selfcheck, "calibration_pictures", lambda _: pictures[:2])
    choice = selfcheck.check(state, choices, FeatureExtractor())
    assert choices.choice() == choice
    assert len(choices.peaks()) == 15
    speeds = {found.precision: found.windows_per_s for found in choice.measured if found.holds}
    assert choice.precision == max(speeds, key=speeds.get)
    assert choice.measured[0].precision == "fp32"
    assert choice.measured[0].worst_difference == 0


@pytest.fixture
def bundle(tmp_path, state):
    return write_bundle(tmp_path / "models", a_description(), state)


@pytest.fixture
def patience(monkeypatch):
    monkeypatch.setattr(adaptive, "_PATIENCE_S", 0.0)


def _check_that(monkeypatch, choice, code=0):
    """The self-check in its process writes down ``choice``, or nothing, and ends with ``code``."""

    def command(path, choices):
        if choice is None:
            return [sys.executable, "-c", f"raise SystemExit({code})"]
        target = json.dumps(str(choices._choice_file))
        script = (
            "import pathlib, json\n"
            f"path = pathlib.Path({target})\n"
            "path.parent.mkdir(parents=True, exist_ok=True)\n"
            f"path.write_text({json.dumps(json.dumps({'precision': choice, 'batch_windows': 2, 'measured': []}))})\n"
        )
        return [sys.executable, "-c", script]

    monkeypatch.setattr(adaptive, "check_command", command)


def _wait_for_the_check():
    for thread in threading.enumerate():
        if thread.name == "self-check":
            thread.join(timeout=30)
            assert not thread.is_alive()


@pytest.mark.usefixtures("patience")
def test_the_network_goes_over_to_what_the_check_chose(bundle, choices, *, pictures, plain, monkeypatch):
    _check_that(monkeypatch, "bf16")
    network = AdaptiveNetwork(bundle, "auto", choices)
    first = network.forward(pictures[:2])
    _wait_for_the_check()
    assert (network.precision, network.batch_windows) == ("bf16", 2)
    np.testing.assert_allclose(network.forward(pictures[:2]), plain[:2], atol=0.05)
    np.testing.assert_allclose(first, plain[:2], atol=2e-5 if network.precision == "fp32" else 0.05)
    network.close()
    again = AdaptiveNetwork(bundle, "auto", choices)
    assert again.precision == "bf16", "what is known is used at once"
    again.close()


@pytest.mark.usefixtures("patience")
def test_a_check_that_fails_leaves_float32(bundle, choices, *, pictures, plain, monkeypatch):
    _check_that(monkeypatch, None, code=1)
    network = AdaptiveNetwork(bundle, "auto", choices)
    _wait_for_the_check()
    assert network.precision == "fp32"
    np.testing.assert_allclose(network.forward(pictures[:1]), plain[:1], atol=2e-5)
    network.close()


@pytest.mark.usefixtures("patience")
def test_a_file_that_was_damaged_meanwhile_is_not_gone_over_to(bundle, choices, *, pictures, monkeypatch):
    _check_that(monkeypatch, "bf16")
    check = adaptive.check_command

    def damage_and_check(path, choices):
        with bundle.weights.open("r+b") as file:
            file.seek(-1, os.SEEK_END)
            file.write(b"\x7f")
        return check(path, choices)

    monkeypatch.setattr(adaptive, "check_command", damage_and_check)
    network = AdaptiveNetwork(bundle, "auto", choices)
    _wait_for_the_check()
    assert network.precision == "fp32"
    assert network.forward(pictures[:1]).sum() == pytest.approx(1, abs=1e-3)
    network.close()


def test_a_precision_asked_for_by_name_needs_no_check(bundle, choices):
    network = AdaptiveNetwork(bundle, "bf16", choices)
    assert network.precision == "bf16"
    assert not choices.folder.exists()
    network.close()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_network_at_work_is_no_part_of_its_file_any_more(bundle, choices, *, pictures, precision):
    """Who writes into the file of a model at work damages the next start, not the results."""
    network = AdaptiveNetwork(bundle, precision, choices)
    before = network.forward(pictures[:2])
    size_bytes = bundle.weights.stat().st_size
    with bundle.weights.open("r+b") as file:
        file.seek(size_bytes // 100)
        file.write(bytes(size_bytes - size_bytes // 100))
    np.testing.assert_array_equal(network.forward(pictures[:2]), before)
    network.close()


def test_int8_waits_for_its_calibration(bundle, choices, *, peaks, pictures, monkeypatch):
    monkeypatch.setattr(adaptive, "_PATIENCE_S", 60.0)
    waiting = AdaptiveNetwork(bundle, "int8", choices)
    assert waiting.precision == "fp32"
    waiting.close()
    _wait_for_the_check()
    choices.keep_peaks(peaks)
    network = AdaptiveNetwork(bundle, "int8", choices)
    assert network.precision == "int8"
    assert network.forward(pictures[:1]).sum() == pytest.approx(1, abs=1e-3)
    network.close()
