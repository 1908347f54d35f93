"""What damaged, lying and hostile files get: one clear reason each."""

from __future__ import annotations

import asyncio
import io
import struct

import numpy as np
import pytest
import soundfile

from app.domain.failures import AnalysisFailed, FailureCode
from app.inference.audio import decode_file
from app.inference.decoding import SandboxedDecoder
from tests.support.sounds import CONTAINERS, beats, encode, ffmpeg, noise, stereo

SECONDS = 6


@pytest.fixture(scope="module")
def files():
    return {container: encode(stereo(beats(SECONDS, 48_000)), 48_000, container) for container in CONTAINERS}


@pytest.fixture
def decode(tmp_path):
    def decode(content: bytes):
        path = tmp_path / "content"
        path.write_bytes(content)
        return decode_file(str(path))

    return decode


@pytest.fixture
def reason(decode):
    def reason(content: bytes):
        with pytest.raises(AnalysisFailed) as excinfo:
            decode(content)
        assert str(excinfo.value)  # its sentence finds all its values
        return excinfo.value.failure

    return reason


# FFmpeg writes the index of an MP4 at its end: without it nothing can be found.
@pytest.mark.parametrize("container", [container for container in CONTAINERS if container != "m4a"])
def test_cut_in_the_middle_what_is_there_is_heard(decode, files, container):
    content = files[container]
    clip = decode(content[: len(content) // 2])
    assert SECONDS * 0.3 < clip.duration_s < SECONDS * 0.7
    assert len(clip.samples) == pytest.approx(clip.duration_s * 22_050, abs=2)


def test_mp4_cut_in_the_middle(decode, reason, files):
    content = files["m4a"]
    assert reason(content[: len(content) // 2]).code == FailureCode.AUDIO_CORRUPT
    streamable = ffmpeg(content, "-c:a", "copy", "-movflags", "faststart", "-f", "ipod")
    assert SECONDS * 0.3 < decode(streamable[: len(streamable) // 2]).duration_s < SECONDS * 0.7


@pytest.mark.parametrize("container", [container for container in CONTAINERS if container != "wav"])
@pytest.mark.parametrize("kept_bytes", [16, 64, 300])
def test_cut_to_almost_nothing(reason, files, container, kept_bytes):
    """Raw AAC has no header, so that even its first frame is a recording, a short one."""
    whole_frame = container == "aac" and kept_bytes == 300
    expected = FailureCode.AUDIO_TOO_SHORT if whole_frame else FailureCode.AUDIO_CORRUPT
    assert reason(files[container][:kept_bytes]).code == expected


@pytest.mark.parametrize("container", [container for container in CONTAINERS if container != "wav"])
def test_random_bytes_after_the_header(reason, files, container):
    content = files[container]
    garbage = np.random.default_rng(5).bytes(len(content) - 64)
    assert reason(content[:64] + garbage).code == FailureCode.AUDIO_CORRUPT


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("container", CONTAINERS)
def test_scattered_damage_is_heard_or_refused_never_a_crash(decode, files, container, seed):
    random = np.random.default_rng(seed)
    content = bytearray(files[container])
    for position in random.integers(0, len(content), 60):
        content[position] = random.integers(0, 256)
    try:
        clip = decode(bytes(content))
    except AnalysisFailed as error:
        assert error.failure.words.final  # noqa: PT017  either outcome is right, each with its own condition
    else:
        assert len(clip.samples) >= 11_025
        assert np.isfinite(clip.samples).all()


def test_a_hole_in_an_mp3_does_not_end_it(decode, files):
    content = bytearray(files["mp3"])
    middle = len(content) // 2
    content[middle : middle + 2_000] = np.random.default_rng(1).bytes(2_000)
    assert decode(bytes(content)).duration_s > SECONDS * 0.8


@pytest.mark.parametrize("content", [b"", b"hello", b"#EXTM3U\nfile:///etc/passwd\n", b"\x7fELF" + bytes(5_000)])
def test_not_audio_at_all(reason, content):
    assert reason(content).code == FailureCode.AUDIO_CORRUPT


def test_a_playlist_behind_magic_bytes_opens_nothing(reason, tmp_path):
    secret = tmp_path / "secret.wav"
    secret.write_bytes(encode(beats(2), 44_100, "wav"))
    playlist = f"#EXTM3U\n#EXTINF:2,\nfile://{secret}\n#EXT-X-ENDLIST\n".encode()
    for magic in (b"ID3", b"OggS", b"RIFF\0\0\0\0WAVE", b"\0\0\0\x20ftyp", b"\x1a\x45\xdf\xa3"):
        assert reason(magic + b"\n" + playlist).code == FailureCode.AUDIO_CORRUPT


@pytest.mark.parametrize("container", ["wav", "ogg"])
def test_a_header_without_sound(reason, container):
    assert reason(encode(np.zeros((0, 2), np.float32), 44_100, container)).code == FailureCode.AUDIO_EMPTY


@pytest.mark.parametrize("container", ["flac", "m4a"])
def test_a_header_without_sound_by_ffmpeg(reason, container):
    assert reason(encode(noise(1), 44_100, container, "-t", "0")).code == FailureCode.AUDIO_EMPTY


def test_a_film_without_sound(reason, files):
    film = ffmpeg(files["wav"], "-f", "lavfi", "-i", "color=d=1", "-map", "1:v", "-f", "mp4", keep_video=True)
    assert reason(film).code == FailureCode.AUDIO_EMPTY


@pytest.mark.parametrize("container", ["wav", "flac", "ogg", "m4a"])
def test_shorter_than_half_a_second(reason, container):
    failure = reason(encode(noise(0.3), 44_100, container))
    assert failure.code == FailureCode.AUDIO_TOO_SHORT
    assert failure.params["duration_s"] == pytest.approx(0.3, abs=0.05)


def test_half_a_second_is_enough(decode, reason):
    sound = noise(1)
    assert decode(encode(sound[:22_050], 44_100, "wav")).duration_s == 0.5
    assert reason(encode(sound[:22_049], 44_100, "wav")).code == FailureCode.AUDIO_TOO_SHORT


def with_flac_length(content: bytes, samples: int) -> bytes:
    """Rewrite the 36 bits of STREAMINFO that hold the number of samples (RFC 9639, section 8.2)."""
    (fields,) = struct.unpack(">Q", content[18:26])
    fields = fields >> 36 << 36 | samples
    return content[:18] + struct.pack(">Q", fields) + content[26:]


def test_longer_than_a_day_by_its_header(decode, reason, files):
    failure = reason(with_flac_length(files["flac"], 25 * 3600 * 48_000))
    assert failure.code == FailureCode.AUDIO_TOO_LONG
    assert failure.params == {"duration_h": 25.0, "maximum_h": 24}
    clip = decode(with_flac_length(encode(noise(31, 8_000), 8_000, "flac"), 23 * 3600 * 8_000))
    assert clip.duration_s == 23 * 3600


def test_longer_than_a_day_by_a_webm_header(reason, files):
    """The element Duration (0x4489) is a float, in milliseconds unless told otherwise."""
    content = files["webm"]
    start = content.index(b"\x44\x89\x88") + 3
    lying = content[:start] + struct.pack(">d", 25 * 3_600_000.0) + content[start + 8 :]
    assert reason(lying).code == FailureCode.AUDIO_TOO_LONG


def test_length_unknown_by_its_header(decode, files):
    clip = decode(with_flac_length(files["flac"], 0))
    assert clip.duration_s == pytest.approx(SECONDS, abs=0.1)


def test_too_many_channels(reason):
    failure = reason(encode(np.stack([noise(1)] * 9, axis=1), 44_100, "wav"))
    assert failure.code == FailureCode.AUDIO_CHANNELS
    assert failure.params == {"channels": 9, "maximum": 8}


@pytest.mark.parametrize("rate_hz", [1, 7_999, 192_001, 384_000])
def test_sample_rates_beyond_the_limits(reason, rate_hz):
    failure = reason(encode(noise(1), rate_hz, "wav"))
    assert failure.code == FailureCode.AUDIO_SAMPLE_RATE
    assert failure.params == {"sample_rate_hz": rate_hz, "minimum_hz": 8_000, "maximum_hz": 192_000}


def silence_bomb(hours: int) -> bytes:
    content = io.BytesIO()
    hour = np.zeros(3600 * 8_000, np.int16)
    with soundfile.SoundFile(content, "w", 8_000, 1, "PCM_16", format="FLAC") as file:
        for _ in range(hours):
            file.write(hour)
    return content.getvalue()


def peak_memory_bytes(pid: int) -> int:
    with open(f"/proc/{pid}/status") as status:  # noqa: PTH123
        (line,) = (line for line in status if line.startswith("VmHWM"))
    return int(line.split()[1]) * 1024


async def test_hours_of_silence_cost_no_memory():
    content = await asyncio.to_thread(silence_bomb, 6)
    assert len(content) < 3_000_000
    decoder = SandboxedDecoder(processes=1, timeout_s=30)
    await decoder.start()
    clip = await decoder.decode(content)
    peak = peak_memory_bytes(decoder.process_ids[0])
    await decoder.close()
    assert (len(clip.samples), clip.duration_s, clip.audible) == (661_500, 6 * 3600, False)
    assert peak < 250_000_000


@pytest.mark.timeout(120)
async def test_the_widest_recording_fits_a_decoder_process():
    """Eight channels at 192 kHz for more than 30 s; 32-bit samples of silence pack small enough to be accepted."""
    sound = np.zeros((31 * 192_000, 8), np.float32)
    sound[::100] = 0.25
    content = encode(sound, 192_000, "flac")
    decoder = SandboxedDecoder(processes=1, timeout_s=60)
    await decoder.start()
    clip = await decoder.decode(content)
    await decoder.close()
    assert (len(clip.samples), clip.channels, clip.sample_rate_hz) == (661_500, 8, 192_000)
