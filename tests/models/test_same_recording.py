"""The starter answers the same to one recording, whatever file it comes in."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soxr

from app.inference.audio import decode_file
from app.inference.bundle import load_weights, verify
from app.inference.device import choose_placement
from app.inference.network import TorchNetwork
from app.inference.picture import FeatureExtractor
from app.inference.recipes import recipe
from tests.support.sounds import encode, stereo

# The starter is built by the first test that needs it.
pytestmark = pytest.mark.timeout(600)

SECONDS = 30


@pytest.fixture(scope="module")
def network(starter_bundle):
    return TorchNetwork(load_weights(verify(starter_bundle)), choose_placement("cpu"))


def _files(genre: str) -> dict[str, bytes]:
    sound = recipe(genre, seed=7_000, seconds=SECONDS)
    at_44 = soxr.resample(sound, 22_050, 44_100, "VHQ").astype(np.float32)
    at_48 = soxr.resample(sound, 22_050, 48_000, "VHQ").astype(np.float32)
    return {
        "44.1 kHz mono WAV": encode(at_44, 44_100, "wav"),
        "44.1 kHz stereo WAV": encode(stereo(at_44), 44_100, "wav"),
        "44.1 kHz stereo FLAC": encode(stereo(at_44), 44_100, "flac"),
        "48 kHz mono FLAC": encode(at_48, 48_000, "flac"),
        "48 kHz stereo WAV": encode(stereo(at_48), 48_000, "wav"),
    }


@pytest.mark.parametrize("genre", ["symphony", "dance_pop", "acoustic_pop"])
def test_rate_channels_and_container_make_no_difference(network: TorchNetwork, genre: str, tmp_path: Path):
    featurizer = FeatureExtractor()
    recording = tmp_path / "recording"

    def answer_to(content: bytes) -> np.ndarray:
        recording.write_bytes(content)
        return network.forward(featurizer.windows(decode_file(str(recording))).pictures).mean(axis=0)

    answers = {name: answer_to(content) for name, content in _files(genre).items()}
    first = answers["44.1 kHz mono WAV"]
    for name, answer in answers.items():
        assert answer.argmax() == first.argmax(), name
        np.testing.assert_allclose(answer, first, atol=0.02, err_msg=name)
