"""Fitting a head: the regression, its way into four linear layers, folders of recordings, the starter."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from app.domain.failures import AnalysisFailed, FailureCode
from app.domain.genres import GENRE_IDS
from app.errors import ExamplesUnusable
from app.inference.bundle import load_weights, read_card, verify
from app.inference.contracts import Clip, Windows
from app.inference.device import choose_placement
from app.inference.examples import examples_of_folder, examples_of_recipes
from app.inference.fit import Examples, LinearHead, fit_linear_head, head_tensors
from app.inference.network import FEATURES, TorchNetwork, vgg19_bn
from app.inference.picture import FeatureExtractor


def no_report(_stage, _done, _total):
    pass


def some_features(windows_per_class: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Sixteen clouds of points in 25,088 dimensions, like what follows a ReLU."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((16, FEATURES))
    labels = np.tile(np.arange(16), windows_per_class)
    noise = np.random.default_rng(seed).standard_normal((len(labels), FEATURES))
    return np.maximum(0, centres[labels] + 4 * noise).astype(np.float32), labels


@pytest.fixture(scope="module")
def head():
    features, labels = some_features(6, seed=1)
    return fit_linear_head(features, labels, np.arange(len(labels)))


def test_the_regression_tells_new_points_apart_and_says_so(head):
    features, labels = some_features(4, seed=2)
    answers = (torch.from_numpy(features) @ head.weight.T + head.bias).argmax(dim=1).numpy()
    assert np.mean(answers == labels) > 0.95
    assert head.accuracy > 0.95


def test_held_out_windows_are_not_seen_when_labels_mean_nothing():
    """Noise can be learned by heart; a check on clips that the fit has seen would find it right."""
    rng = np.random.default_rng(3)
    clips = np.repeat(np.arange(24), 2)  # two nearly equal windows of each clip
    features = np.repeat(rng.standard_normal((24, 300)), 2, axis=0).astype(np.float32)
    head = fit_linear_head(features + 0.01, np.repeat(np.arange(24) % 4, 2), clips)
    assert head.accuracy < 0.6


def test_the_four_layers_compute_the_regression(head):
    features = torch.from_numpy(some_features(1, seed=4)[0])
    rounded = LinearHead(head.weight.bfloat16().float(), head.bias, head.ridge, head.accuracy)
    classifier = vgg19_bn().get_submodule("classifier").eval()
    tensors = head_tensors(rounded)
    classifier.load_state_dict({name.removeprefix("classifier."): value.float() for name, value in tensors.items()})
    with torch.inference_mode():
        found = classifier(features)
    torch.testing.assert_close(found, features @ rounded.weight.T + rounded.bias, atol=2e-3, rtol=1e-3)


class TwoTones:
    """A featurizer: loud files give bright pictures, two windows each."""

    def windows(self, clip):
        rng = np.random.default_rng(len(clip.samples))
        bright = 200 if clip.samples[0] > 0 else 50
        pictures = (bright + rng.integers(0, 40, (2, 224, 224, 3))).astype(np.uint8)
        return Windows(pictures, [(0.0, 11.4), (11.4, 22.8)], 22.8, b"")


class FirstByte:
    """A decoder: the first byte is the sound, the others make it unlike its neighbours."""

    async def decode(self, content):
        if not content:
            raise AnalysisFailed(FailureCode.AUDIO_EMPTY)
        samples = np.full(len(content), 1.0 if content[0] > 127 else -1.0, np.float32)
        return Clip(samples, 30.0, 22_050, channels=1, title=None, artist=None, audible=True)


def labelled_folder(folder, **files_per_genre):
    for number, (genre_id, count) in enumerate(files_per_genre.items()):
        (folder / genre_id).mkdir()
        for file in range(count):
            (folder / genre_id / f"{file}.mp3").write_bytes(bytes([255 * (number % 2)] * (file + 1)))
    return folder


async def listen(folder, skipped=lambda _path, _reason: None):
    return await examples_of_folder(folder, FirstByte(), TwoTones(), no_report, skipped=skipped)


async def test_a_labelled_folder_becomes_examples(tmp_path):
    folder = labelled_folder(tmp_path, solo=4, soft_rock=4)
    (folder / "solo" / ".hidden").write_bytes(b"x")
    (folder / "solo" / "empty.mp3").touch()
    reasons = {}
    examples = await listen(folder, lambda path, reason: reasons.update({path.name: reason}))
    assert reasons == {"empty.mp3": "The file has a valid header but contains no sound."}
    assert examples.clips.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7]
    assert [GENRE_IDS[label] for label in examples.labels[[0, 8]]] == ["solo", "soft_rock"]


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({}, "at least two genres"),
        ({"solo": 9}, "at least two genres"),
        ({"solo": 9, "opera": 3}, "opera has 3 usable"),
    ],
)
async def test_a_folder_with_too_little_in_it_is_refused(tmp_path, files, words):
    with pytest.raises(ExamplesUnusable, match=words):
        await listen(labelled_folder(tmp_path, **files))


def test_clips_of_recipes_are_labelled_and_deterministic():
    seen = []
    featurizer = FeatureExtractor()
    first = examples_of_recipes(range(1), featurizer, lambda *progress: seen.append(progress))
    assert first.labels.tolist() == first.clips.tolist() == list(range(16))
    assert seen[-1] == ("music", 16, 16)
    again = examples_of_recipes(range(1), featurizer, no_report)
    np.testing.assert_array_equal(first.pictures, again.pictures)


@pytest.mark.timeout(600)
def test_the_starter_knows_fresh_clips_of_its_own_recipes(starter_bundle):
    """Seeds that neither its fit nor its own measurement has seen."""
    bundle = verify(starter_bundle)
    fresh: Examples = examples_of_recipes(range(5_000, 5_003), FeatureExtractor(), no_report)
    answers = TorchNetwork(load_weights(bundle), choose_placement("cpu")).forward(fresh.pictures).argmax(axis=1)
    assert np.mean(answers == fresh.labels) >= 0.9


@pytest.mark.timeout(600)
def test_the_starter_says_what_it_is(starter_bundle):
    card = read_card(starter_bundle)
    assert card.starter
    assert "only its own synthesised examples" in card.limits
    assert card.metrics["accuracy_on_fresh_recipes"] >= 0.9
