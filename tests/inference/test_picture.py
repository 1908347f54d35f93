"""Pictures against the reference: librosa, matplotlib and PIL."""

from __future__ import annotations

import io
from concurrent.futures import ThreadPoolExecutor

import matplotlib as mpl
import numpy as np
import pytest
from PIL import Image

from app.cli.bench.reference import reference_decibels, reference_figure, reference_pictures
from app.inference.contracts import Clip
from app.inference.magma import MAGMA
from app.inference.picture import FeatureExtractor, figure, spectrogram_png, window_frames
from tests.support.sounds import KINDS


@pytest.fixture(scope="module")
def extractor():
    return FeatureExtractor()


def clip_of(samples):
    return Clip(
        samples,
        duration_s=len(samples) / 22_050,
        sample_rate_hz=22_050,
        channels=1,
        title=None,
        artist=None,
        audible=True,
    )


def mean_difference(ours, theirs):
    return np.abs(ours.astype(float) - theirs).mean() / 255


def test_palette_is_matplotlibs():
    colours = np.rint(np.array(mpl.colormaps["magma"].colors) * 255).astype(np.uint8)
    assert colours.tobytes() == MAGMA


def test_drawing_is_matplotlibs_to_the_last_pixel():
    decibels = reference_decibels(KINDS["chords"](12, 22_050))
    drawn = io.BytesIO()
    figure(decibels).save(drawn, "JPEG", quality=75)
    assert np.array_equal(np.asarray(Image.open(drawn)), reference_figure(decibels))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("seconds", [30, 20, 11.4])
def test_pictures_agree_with_the_reference(extractor, kind, seconds):
    samples = KINDS[kind](seconds, 22_050)
    expected = reference_pictures(samples)
    windows = extractor.windows(clip_of(samples))
    assert windows.pictures.shape == expected.shape
    assert windows.pictures.dtype == np.uint8
    assert mean_difference(windows.pictures, expected) < 0.002


@pytest.mark.parametrize(("seconds", "count"), [(0.5, 1), (5, 1), (11.4, 1), (15, 1), (22.7, 1), (22.9, 2), (30, 2)])
def test_windows_lie_inside_the_recording(extractor, seconds, count):
    windows = extractor.windows(clip_of(KINDS["chords"](seconds, 22_050)))
    assert len(windows.pictures) == len(windows.spans_s) == count
    assert windows.analysed_seconds == pytest.approx(seconds, abs=1e-4)
    ends = [0.0, *(edge for span in windows.spans_s for edge in span), windows.analysed_seconds]
    assert ends == sorted(ends)


def test_window_frames_of_thirty_seconds():
    assert window_frames(1292, 30.0) == ([156, 646], 490)


def test_a_short_clip_is_repeated(extractor):
    """A steady tone of one second looks like one of twenty seconds."""
    tone = np.sin(2 * np.pi * 440 * np.arange(20 * 22_050) / 22_050).astype(np.float32)
    short = extractor.windows(clip_of(tone[:22_050]))
    long = extractor.windows(clip_of(tone))
    assert short.spans_s == [(0.0, 1.0)]
    assert mean_difference(short.pictures, long.pictures) < 0.02


@pytest.mark.filterwarnings("error")
def test_silence_is_one_dark_picture(extractor):
    windows = extractor.windows(clip_of(np.zeros(30 * 22_050, np.float32)))
    assert windows.pictures.shape == (2, 224, 224, 3)
    assert windows.pictures.max() <= MAGMA[2] + 4


def test_loudness_does_not_matter(extractor):
    samples = KINDS["melody"](12, 22_050)
    plain, quiet = (extractor.windows(clip_of(samples * gain)).pictures for gain in (1.0, 0.25))
    assert mean_difference(plain, quiet) < 0.0001


def test_a_constant_offset_can_not_be_seen(extractor):
    samples = KINDS["chords"](30, 22_050)
    plain, shifted = (extractor.windows(clip_of(samples + np.float32(offset))).pictures for offset in (0, 0.2))
    assert mean_difference(plain, shifted) < 0.001


def test_an_overdriven_recording_is_drawn_as_it_sounds(extractor):
    samples = np.clip(4 * KINDS["chords"](30, 22_050), -1, 1)
    pictures = extractor.windows(clip_of(samples)).pictures
    assert mean_difference(pictures, reference_pictures(samples)) < 0.002
    assert mean_difference(pictures, extractor.windows(clip_of(KINDS["chords"](30, 22_050))).pictures) > 0.01


def test_spectrogram_is_a_png_of_the_whole_clip(extractor):
    windows = extractor.windows(clip_of(KINDS["noise"](30, 22_050)))
    assert len(windows.spectrogram_png) < 300_000
    with Image.open(io.BytesIO(windows.spectrogram_png)) as image:
        assert (image.format, image.size) == ("PNG", (1292, 336))


def test_spectrogram_shows_low_frequencies_at_the_bottom():
    decibels = np.full((84, 10), -80, np.float32)
    decibels[0] = 0
    with Image.open(io.BytesIO(spectrogram_png(decibels))) as image:
        pixels = np.asarray(image.convert("RGB")).astype(int).sum(axis=2)
    assert pixels[-4:].min() > 600
    assert pixels[:-4].max() < 10


def test_threads_may_share_an_extractor(extractor):
    clips = [clip_of(KINDS[kind](12, 22_050)) for kind in KINDS] * 2
    expected = [extractor.windows(clip).pictures for clip in clips]
    with ThreadPoolExecutor(4) as pool:
        together = [windows.pictures for windows in pool.map(extractor.windows, clips)]
    assert all(np.array_equal(a, b) for a, b in zip(expected, together, strict=True))
