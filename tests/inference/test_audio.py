"""Decoding against librosa, for every container and shape of sound that we take."""

from __future__ import annotations

import numpy as np
import pytest

from app.cli.bench.reference import reference_samples
from app.inference.audio import clean_tag, decode_file, is_audible
from app.inference.contracts import Clip
from app.inference.picture import FeatureExtractor
from tests.support.sounds import CONTAINERS, beats, chords, encode, ffmpeg, melody, noise, stereo

FFMPEG_ONLY = ("opus", "m4a", "aac", "webm")


@pytest.fixture
def decode(tmp_path):
    def decode(content: bytes) -> Clip:
        path = tmp_path / "content"
        path.write_bytes(content)
        return decode_file(str(path))

    return decode


def many_channels(count, rate_hz=44_100, seconds=2):
    return np.stack([melody(seconds, rate_hz, seed=seed) for seed in range(count)], axis=1)


@pytest.mark.parametrize("seconds", [2, 33])
@pytest.mark.parametrize("container", CONTAINERS)
def test_every_container_gives_librosas_samples(decode, container, seconds):
    rate_hz = 48_000 if container in ("opus", "webm") else 44_100
    content = encode(stereo(beats(seconds, rate_hz), chords(seconds, rate_hz)), rate_hz, container)
    clip = decode(content)
    if container in FFMPEG_ONLY:
        expected = reference_samples(ffmpeg(content, "-c:a", "pcm_f32le", "-f", "wav"))
        np.testing.assert_allclose(clip.samples, expected, atol=2e-6)
    else:
        assert np.array_equal(clip.samples, reference_samples(content))
    assert clip.duration_s == pytest.approx(seconds, abs=0.1)
    assert (clip.sample_rate_hz, clip.channels, clip.audible) == (rate_hz, 2, True)
    assert clip.samples.flags.c_contiguous


@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "MS_ADPCM"])
def test_every_sample_format_of_wav(decode, subtype):
    content = encode(stereo(beats(2)), 44_100, "wav", subtype=subtype)
    assert np.array_equal(decode(content).samples, reference_samples(content))


@pytest.mark.parametrize("codec", ["pcm_u8", "pcm_s16le", "pcm_s24le", "pcm_s32le", "pcm_f32le", "pcm_f64le"])
def test_every_sample_format_through_ffmpeg(decode, codec):
    """A Matroska file may hold any codec; libsndfile reads none of them."""
    sound = stereo(beats(2))
    expected = reference_samples(encode(sound, 44_100, "wav", subtype="DOUBLE"))
    clip = decode(encode(sound, 44_100, "matroska", "-c:a", codec))
    np.testing.assert_allclose(clip.samples, expected, atol=0.01 if codec == "pcm_u8" else 1e-4)


@pytest.mark.parametrize("container", ["wav", "flac", "webm"])
@pytest.mark.parametrize("channels", range(1, 9))
def test_one_to_eight_channels(decode, channels, container):
    options = ("-mapping_family", "255") if container == "webm" else ()
    content = encode(many_channels(channels, 48_000), 48_000, container, *options)
    clip = decode(content)
    assert clip.channels == channels
    if container == "webm":
        expected = reference_samples(ffmpeg(content, "-c:a", "pcm_f32le", "-f", "wav"))
        np.testing.assert_allclose(clip.samples, expected, atol=2e-6)
    else:
        assert np.array_equal(clip.samples, reference_samples(content))


@pytest.mark.parametrize("rate_hz", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 88_200, 96_000, 192_000])
def test_every_sample_rate(decode, rate_hz):
    content = encode(stereo(noise(1.3, rate_hz)), rate_hz, "flac")
    clip = decode(content)
    assert np.array_equal(clip.samples, reference_samples(content))
    assert clip.sample_rate_hz == rate_hz


def test_cover_art_is_not_sound(decode, tmp_path):
    cover = tmp_path / "cover.png"
    cover.write_bytes(FeatureExtractor().windows(clip_of(noise(1, 22_050))).spectrogram_png)
    sound = encode(beats(2), 44_100, "wav")
    options = ("-i", cover, "-map", "0:a", "-map", "1:v", "-c:v", "png", "-disposition:v", "attached_pic")
    for form in (("-c:a", "libmp3lame", "-f", "mp3"), ("-c:a", "aac", "-f", "ipod")):
        content = ffmpeg(sound, *options, *form, keep_video=True)
        assert decode(content).duration_s == pytest.approx(2, abs=0.1)


def test_duration_is_counted_where_no_header_says_it(decode, tmp_path):
    """A browser's recorder and a live stream write no duration."""
    sound = stereo(beats(40, 48_000))
    webm = encode(sound, 48_000, "webm", "-live", "1")
    assert decode(webm).duration_s == pytest.approx(40, abs=0.05)
    aac = encode(sound, 48_000, "aac")
    assert decode(aac).duration_s == pytest.approx(40, abs=0.1)


def test_duration_of_a_cut_off_file_is_what_is_there(decode):
    content = encode(stereo(beats(20)), 44_100, "flac")
    clip = decode(content[: len(content) // 2])
    assert clip.duration_s == pytest.approx(len(clip.samples) / 22_050, abs=1e-3)
    assert 5 < clip.duration_s < 15


def clip_of(samples):
    return Clip(samples, len(samples) / 22_050, 22_050, 1, title=None, artist=None, audible=True)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e30])
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
def test_wild_values_hurt_only_themselves(decode, subtype, value):
    sound = stereo(beats(2)).astype(np.float64)
    plain = decode(encode(sound, 44_100, "wav", subtype=subtype)).samples
    sound[1_000, 0] = value
    clip = decode(encode(sound, 44_100, "wav", subtype=subtype))
    assert np.isfinite(clip.samples).all()
    np.testing.assert_allclose(clip.samples[11_025:], plain[11_025:], atol=1e-3)
    with np.errstate(all="raise"):
        assert FeatureExtractor().windows(clip).pictures.std() > 0


def test_values_beyond_full_scale_stay(decode):
    content = encode(stereo(beats(2)) * 30_000, 44_100, "wav", subtype="FLOAT")
    samples = decode(content).samples
    assert np.array_equal(samples, reference_samples(content))
    assert samples.max() > 1_000


def test_what_is_audible():
    quiet = noise(3, 22_050)
    assert is_audible(quiet * 0.01)
    assert not is_audible(quiet * 0.0001)
    assert not is_audible(np.zeros(11_025, np.float32))
    assert not is_audible(np.full(40_000, 0.3, np.float32))  # an offset is no sound
    assert is_audible(np.concatenate([np.zeros(200_000, np.float32), quiet[:11_025]]))


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("", None),
        (" \t\n", None),
        ("A\x00B\nC\u202ed", "A B C d"),
        ("  two   words ", "two words"),
        ("e\u0301te\u0301", "été"),
        ("四月🎵", "四月🎵"),
        ("x" * 100_000, "x" * 200),
    ],
)
def test_tags_are_clean(text, clean):
    assert clean_tag(text) == clean


def test_the_same_recording_gives_the_same_pictures_in_any_form(decode):
    """44.1 and 48 kHz, mono and stereo, FLAC and WAV."""
    extractor = FeatureExtractor()
    left, right = chords(15, 96_000), melody(15, 96_000)
    both = np.stack([left, right], axis=1)
    master = encode(both, 96_000, "wav", subtype="FLOAT")
    forms = [
        ffmpeg(master, "-ar", str(rate_hz), "-af", pan, "-f", container)
        for rate_hz in (44_100, 48_000)
        for pan in ("pan=mono|c0=0.5*c0+0.5*c1", "anull")
        for container in ("flac", "wav")
    ]
    pictures = [extractor.windows(decode(content)).pictures.astype(float) for content in forms]
    for other in pictures[1:]:
        assert np.abs(other - pictures[0]).mean() / 255 < 0.003
