"""Fine-tuning and calibration: what is learned, what is kept, and that a fit which was cut off ends where it would have."""

from __future__ import annotations

import xml.etree.ElementTree as ET

import numpy as np
import pytest
import torch
from scipy.special import log_softmax

from app.inference import network
from app.inference.bundle import Description, load_weights, sha256_of, verify, write_bundle
from app.inference.calibration import best_temperature, clip_probabilities
from app.inference.device import choose_placement
from app.inference.finetuning import Layers, Plan, class_weights, split_by_recording
from app.inference.fit import Examples
from app.inference.fitting import Destination, fit_bundle
from app.inference.network import TorchNetwork
from tests.support.bundles import random_state

PLACEMENT = choose_placement("cpu", "fp32")


def no_report(_stage, _done, _total):
    pass


def shades(recordings_per_genre: int) -> Examples:
    """Bright pictures are one genre, dark ones another."""
    rng = np.random.default_rng(1)
    labels = np.repeat([2, 14], recordings_per_genre)
    light = np.where(labels == 2, 40, 180)[:, None, None, None]
    pictures = (light + rng.integers(0, 60, (len(labels), 224, 224, 3))).astype(np.uint8)
    return Examples(pictures, labels, np.arange(len(labels)))


@pytest.fixture
def narrow_head(monkeypatch):
    """The public head's hundred million weights, each with two moments, are gigabytes to write: not for every test."""
    monkeypatch.setattr(network, "HEAD_WIDTHS", (192, 64, 32))


def base_in(folder, *, starter=False):
    description = Description(name="base", version="1", source="a test", limits="Toy.", metrics={}, starter=starter)
    return write_bundle(folder / "models", description, random_state())


def test_no_recording_is_in_two_parts_and_every_genre_is_in_each():
    labels = np.repeat([0, 1, 5], [40, 14, 8])
    clips = np.repeat(np.arange(31), 2)
    split = split_by_recording(labels, clips)
    parts = [set(clips[mask]) for mask in (split.training, split.checking, split.testing)]
    assert set.union(*parts) == set(clips)
    assert sum(map(len, parts)) == 31
    for mask in (split.training, split.checking, split.testing):
        assert set(labels[mask]) == {0, 1, 5}


def test_rare_genres_weigh_as_much_as_frequent_ones():
    labels = np.array([0, 0, 0, 3])
    weights = class_weights(labels, classes=16).numpy()
    assert weights[0] * 3 == pytest.approx(weights[3])
    assert weights[1] == 0


def test_the_temperature_makes_overconfident_answers_honest():
    """Logits that are right in 70 % of the clips but claim far more."""
    rng = np.random.default_rng(5)
    truth = rng.integers(0, 16, 2_000)
    answers = np.where(rng.random(2_000) < 0.7, truth, (truth + 1) % 16)
    logits = np.zeros((2_000, 16), np.float32)
    logits[np.arange(2_000), answers] = 12.0
    clips = np.arange(2_000)
    temperature = best_temperature(logits, truth, clips)
    assert clip_probabilities(logits, clips)[0].max() > 0.99
    assert clip_probabilities(logits, clips, temperature).max(axis=1).mean() == pytest.approx(0.7, abs=0.03)


def test_a_clip_is_the_mean_of_its_windows():
    logits = np.array([[4.0] + [0.0] * 15, [0.0] * 15 + [4.0], [1.0] + [0.0] * 15], np.float32)
    found = clip_probabilities(logits, np.array([0, 0, 1]))
    np.testing.assert_allclose(found[0], np.exp(log_softmax(logits[:2], axis=1)).mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(found.sum(axis=1), 1)


class CutOff(Exception):
    pass


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("narrow_head")
def test_a_fit_that_was_cut_off_ends_as_if_it_had_not_been(tmp_path):
    base, examples, plan = base_in(tmp_path), shades(6), Plan(epochs=2, batch_windows=2)

    def cut_off(stage, done, _total):
        if (stage, done) == ("epochs", 1):
            raise CutOff

    broken = Destination(tmp_path / "broken", "ours", "1")
    with pytest.raises(CutOff):
        fit_bundle(base, examples, plan, PLACEMENT, to=broken, report=cut_off)
    seen = []
    resumed = fit_bundle(base, examples, plan, PLACEMENT, to=broken, report=lambda *what: seen.append(what))
    assert [done for stage, done, _ in seen if stage == "epochs"] == [2, 2], "only the last epoch is left to do"
    assert not any(stage == "features" for stage, _, _ in seen), "what is fixed is computed once"
    whole = fit_bundle(base, examples, plan, PLACEMENT, to=Destination(tmp_path, "ours", "1"), report=no_report)
    assert sha256_of(resumed.weights) == sha256_of(whole.weights)
    assert sha256_of(whole.weights) != sha256_of(base.weights)
    assert not broken.work_folder.exists()


@pytest.mark.timeout(300)
def test_the_public_head_is_fitted(tmp_path):
    # Steps enough that the answers are clear on every processor: their arithmetic differs in the last digits.
    base, examples, plan = base_in(tmp_path), shades(6), Plan(epochs=2, batch_windows=2)
    to = Destination(tmp_path, "ours", "1")
    _is_a_complete_model(fit_bundle(base, examples, plan, PLACEMENT, to=to, report=no_report), base, examples)


def _is_a_complete_model(bundle, base, examples):
    card = verify(bundle.path).card
    assert card.source == "base/1, fine-tuned (head) on 12 labelled recordings"
    assert card.metrics["accuracy"] == card.evaluation.accuracy == 1.0
    assert card.evaluation.recordings == 2, "one recording of each genre was kept from training"
    answers = TorchNetwork(load_weights(bundle), PLACEMENT).forward(examples.pictures)
    assert answers.argmax(axis=1).tolist() == examples.labels.tolist()
    before, after = load_weights(base), load_weights(bundle)
    assert all(torch.equal(before[name], after[name]) for name in before if name.startswith("features."))
    for picture in ("confusion_matrix.svg", "reliability.svg"):
        assert ET.parse(bundle.path / picture).getroot().tag.endswith("svg")


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("narrow_head")
def test_the_last_block_is_trained_on_request(tmp_path):
    base = base_in(tmp_path)
    plan = Plan(layers=Layers.LAST_BLOCK, epochs=1, batch_windows=4, learning_rate=1e-5)
    bundle = fit_bundle(base, shades(4), plan, PLACEMENT, to=Destination(tmp_path, "ours", "1"), report=no_report)
    before, after = load_weights(base), load_weights(bundle)
    trained = {name for name in before if not torch.equal(before[name], after[name])}
    assert {name for name in trained if name.startswith("features.")} <= {name for name in before if _block(name) >= 40}
    assert after.keys() == before.keys()


def _block(name: str) -> int:
    return int(name.split(".")[1])


@pytest.mark.timeout(300)
@pytest.mark.usefixtures("narrow_head")
def test_a_starter_is_fitted_by_regression_first(tmp_path):
    starter, examples = base_in(tmp_path, starter=True), shades(4)
    bundle = fit_bundle(
        starter, examples, Plan(epochs=1), PLACEMENT, to=Destination(tmp_path, "ours", "1"), report=no_report
    )
    assert not bundle.card.starter
    answers = TorchNetwork(load_weights(bundle), PLACEMENT).forward(examples.pictures)
    assert answers.argmax(axis=1).tolist() == examples.labels.tolist()
