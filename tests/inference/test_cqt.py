"""The layer against librosa, and its fast way against nnAudio's own."""

from __future__ import annotations

import subprocess
import sys

import librosa
import numpy as np
import pytest
import torch
from nnAudio.features.cqt import CQT1992v2

from app.inference.cqt import LibrosaCQT
from tests.support.sounds import KINDS


@pytest.fixture(scope="module")
def layer():
    return LibrosaCQT().eval()


def transform(layer, *clips):
    with torch.inference_mode():
        return layer(torch.from_numpy(np.stack(clips))).numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_agrees_with_librosa(layer, kind):
    samples = KINDS[kind](14, 22_050)
    expected = np.abs(librosa.cqt(samples, sr=22_050))
    ours = transform(layer, samples)[0]
    assert ours.shape == expected.shape == (84, 603)
    away_from_ends = np.s_[:, 16:-16]
    assert np.abs(ours - expected)[away_from_ends].max() < 2e-5 * expected.max()
    assert np.abs(ours - expected).max() < 0.05 * expected.max()


def test_blocks_give_what_the_convolution_gives(layer):
    samples = KINDS["beats"](3, 22_050)
    with torch.inference_mode():
        convolved = CQT1992v2.forward(layer, torch.from_numpy(samples))[0].numpy()
    assert np.abs(transform(layer, samples)[0] - convolved).max() < 1e-4 * convolved.max()


@pytest.mark.parametrize("length", [1, 511, 512, 513, 11_025])
def test_any_length_has_a_frame_for_each_hop(layer, length):
    assert transform(layer, KINDS["noise"](1, 22_050)[:length]).shape == (1, 84, 1 + length // 512)


def test_a_clip_is_the_same_alone_and_in_a_batch(layer):
    clips = [KINDS[kind](2, 22_050) for kind in ("chords", "noise", "melody")]
    together = transform(layer, *clips)
    alone = np.concatenate([transform(layer, clip) for clip in clips])
    np.testing.assert_allclose(together, alone, atol=1e-6)


def test_the_layer_brings_no_more_of_scipy_than_it_uses():
    """Which is 40 MB of a worker, and most of a second of its start; others find all of SciPy where it should be."""
    code = (
        "import sys\n"
        "from app.inference.cqt import LibrosaCQT\n"
        "import nnAudio.utils\n"
        "loaded = {'scipy.signal', 'scipy.stats', 'scipy.optimize'} & set(sys.modules)\n"
        "import scipy.signal\n"
        "same = scipy.signal.firwin2 is nnAudio.utils.signal.firwin2\n"
        "sys.exit(f'loaded: {loaded}, the same: {same}' if loaded or not same else 0)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
