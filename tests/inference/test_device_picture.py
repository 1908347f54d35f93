"""Pictures as a GPU draws them, on a processor: those of Pillow and libjpeg, but for rounding."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image

from app.inference.contracts import Clip
from app.inference.device_picture import DeviceFeatureExtractor
from app.inference.jpeg import jpeg
from app.inference.picture import FeatureExtractor
from tests.support.sounds import KINDS


@pytest.fixture(scope="module")
def extractors():
    return FeatureExtractor(), DeviceFeatureExtractor(torch.device("cpu"))


def _clip(samples):
    return Clip(samples, len(samples) / 22_050, 22_050, channels=1, title=None, artist=None, audible=True)


def _difference(one, other):
    return np.abs(one.astype(int) - other.astype(int)) / 255


@pytest.mark.parametrize(("kind", "seconds"), [("chords", 5), ("beats", 30), ("melody", 30), ("noise", 30)])
def test_the_device_draws_the_same_pictures(extractors, kind, seconds):
    on_processor, on_device = (extractor.windows(_clip(KINDS[kind](seconds, 22_050))) for extractor in extractors)
    assert on_device.pictures.dtype == np.uint8
    assert on_device.pictures.shape == on_processor.pictures.shape
    assert _difference(on_device.pictures, on_processor.pictures).mean() < 0.0015
    assert (on_device.spans_s, on_device.analysed_seconds) == (on_processor.spans_s, on_processor.analysed_seconds)
    assert on_device.spectrogram_png[:8] == on_processor.spectrogram_png[:8]


def test_silence_is_one_dark_picture(extractors):
    on_processor, on_device = (extractor.windows(_clip(np.zeros(30 * 22_050, np.float32))) for extractor in extractors)
    np.testing.assert_array_equal(on_device.pictures, on_processor.pictures)


@pytest.mark.parametrize("size", [(369, 496), (17, 33)])
def test_pictures_lose_what_jpeg_loses(size):
    rng = np.random.default_rng(0)
    coarse = rng.integers(0, 256, (*(-(-side // 4) for side in size), 3), np.uint8)
    pixels = coarse.repeat(4, axis=0).repeat(4, axis=1)[: size[0], : size[1]]
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "JPEG", quality=75)
    with Image.open(content) as opened:
        expected = np.asarray(opened.convert("RGB"))
    found = jpeg(torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).float())[0].permute(1, 2, 0).numpy()
    assert _difference(expected, pixels).mean() > 0.01, "nothing lost would prove nothing"
    assert _difference(found, expected).mean() < 0.004
    assert _difference(found, expected).max() < 0.15
