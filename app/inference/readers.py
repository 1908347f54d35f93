"""Read the first seconds of an audio file with libsndfile, or with FFmpeg's libraries what libsndfile can't read.

Whole recordings are read with FFmpeg's libraries alone: they take every container and pass over damage in the middle.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TypeAlias

import av
import numpy as np
import soundfile
from numpy.typing import DTypeLike, NDArray

from app.domain.failures import AnalysisFailed, FailureCode
from app.domain.media import SNIFF_BYTES, Container, sniff_container
from app.inference.contracts import ANALYSED_SECONDS, MAXIMUM_HOURS

MAXIMUM_CHANNELS = 8
MINIMUM_HZ, MAXIMUM_HZ = 8_000, 192_000

_UNKNOWN_FRAMES = 2**62  # libsndfile says "unknown" by a count near 2**63
_OPUS_MAGIC, _OPUS_HEAD_BYTES = b"OpusHead", 128  # it stands in the first page of an Ogg stream
_FFMPEG_ONLY = (Container.MP4, Container.AAC, Container.WEBM)

# Only these demuxers, and only the one that fits the magic bytes: a playlist demuxer would open other files and addresses.
_DEMUXERS = {
    Container.MP3: "mp3",
    Container.WAV: "wav",
    Container.FLAC: "flac",
    Container.OGG: "ogg",
    Container.MP4: "mov",
    Container.AAC: "aac",
    Container.WEBM: "matroska",
}
_OPTIONS = {"protocol_whitelist": "file"}
# By FFmpeg's names: type, middle and step of the integers (None: floats, full scale 1).
_SAMPLE_FORMATS: dict[str, tuple[DTypeLike, int, float | None]] = {
    "u8": (np.uint8, 128, 2.0**-7),
    "s16": (np.int16, 0, 2.0**-15),
    "s32": (np.int32, 0, 2.0**-31),
    "s64": (np.int64, 0, 2.0**-63),
    "flt": (np.float32, 0, None),
    "dbl": (np.float64, 0, None),
}


Packets: TypeAlias = "Iterator[av.Packet[av.AudioStream]]"  # generic for type checkers only
# A stretch of samples, float32, (samples, channels), full scale 1, and its rate in Hz.
Block: TypeAlias = tuple[NDArray[np.float32], int]


@dataclass(frozen=True, slots=True)
class Recording:
    """The beginning of a recording as its file has it.

    ``samples``: float32, (samples, channels), full scale 1. ``duration_s``: of the whole recording by its header, or None.
    """

    samples: NDArray[np.float32]
    sample_rate_hz: int
    duration_s: float | None
    title: str
    artist: str


@dataclass(frozen=True, slots=True)
class OpenRecording:
    """A recording to be read from its beginning to its end. All ``blocks`` have the same rate and number of channels."""

    duration_s: float | None
    title: str
    artist: str
    blocks: Iterator[Block]


def read_recording(path: str) -> Recording:
    """Read the first 30 s.

    Raises:
        AnalysisFailed: damaged, or longer, wider or faster than we support.
    """
    container, head = _sniff(path)
    if container in _FFMPEG_ONLY or _OPUS_MAGIC in head[:_OPUS_HEAD_BYTES]:
        return _read_with_ffmpeg(path, container)
    try:
        recording = _read_with_libsndfile(path)
    except soundfile.LibsndfileError:
        return _read_with_ffmpeg(path, container)
    return recording if _is_complete(recording) else _read_around_damage(path, container, recording)


@contextmanager
def open_recording(path: str) -> Iterator[OpenRecording]:
    """Read all of a recording, block by block.

    Raises:
        AnalysisFailed: damaged, or longer, wider or faster than we support; also while the blocks are read.
    """
    container, _ = _sniff(path)
    with _opened(path, container) as file:
        stream = _audio_stream(file)
        duration_s = _header_duration_s(file, stream)
        title, artist = _tags(file, stream)
        yield OpenRecording(duration_s, title, artist, _blocks(file.demux(stream), duration_s))


def _sniff(path: str) -> tuple[Container, bytes]:
    with open(path, "rb") as file:  # noqa: PTH123  a path below /proc/self/fd is not one to resolve
        head = file.read(SNIFF_BYTES)
    container = sniff_container(head)
    if container is None:
        raise AnalysisFailed(FailureCode.AUDIO_CORRUPT)
    return container, head


def _is_complete(recording: Recording) -> bool:
    """Is everything there that the header promises? (A FLAC header may promise nothing: length unknown.)"""
    promised_s = min(ANALYSED_SECONDS, recording.duration_s or 0.0)
    return len(recording.samples) >= max(1, int(promised_s * recording.sample_rate_hz))


def _read_around_damage(path: str, container: Container, partial: Recording) -> Recording:
    """libsndfile stops where a file is damaged, FFmpeg passes over what it can't decode: take what is more."""
    with suppress(AnalysisFailed):
        other = _read_with_ffmpeg(path, container)
        if len(other.samples) > len(partial.samples):
            return other
    return partial


def _check(sample_rate_hz: int, channels: int, duration_s: float | None) -> None:
    if not MINIMUM_HZ <= sample_rate_hz <= MAXIMUM_HZ:
        raise AnalysisFailed(
            FailureCode.AUDIO_SAMPLE_RATE, sample_rate_hz=sample_rate_hz, minimum_hz=MINIMUM_HZ, maximum_hz=MAXIMUM_HZ
        )
    if channels > MAXIMUM_CHANNELS:
        raise AnalysisFailed(FailureCode.AUDIO_CHANNELS, channels=channels, maximum=MAXIMUM_CHANNELS)
    if duration_s is not None and duration_s > MAXIMUM_HOURS * 3600:
        hours = round(duration_s / 3600, 1)
        raise AnalysisFailed(FailureCode.AUDIO_TOO_LONG, duration_h=hours, maximum_h=MAXIMUM_HOURS)


def _read_with_libsndfile(path: str) -> Recording:
    with soundfile.SoundFile(path) as file:
        rate_hz = file.samplerate
        duration_s = file.frames / rate_hz if file.frames < _UNKNOWN_FRAMES else None
        _check(rate_hz, file.channels, duration_s)
        title, artist = file.title, file.artist
        try:
            samples = file.read(int(ANALYSED_SECONDS * rate_hz), dtype="float32", always_2d=True)
        except soundfile.LibsndfileError:
            samples = np.zeros((0, file.channels), np.float32)
    return Recording(samples, rate_hz, duration_s, title, artist)


@contextmanager
def _opened(path: str, container: Container) -> Iterator[av.container.InputContainer]:
    try:
        with av.open(path, format=_DEMUXERS[container], options=_OPTIONS, metadata_errors="replace") as file:
            yield file
    except av.FFmpegError as error:
        raise AnalysisFailed(FailureCode.AUDIO_CORRUPT) from error


def _read_with_ffmpeg(path: str, container: Container) -> Recording:
    with _opened(path, container) as file:
        return _read_stream(file)


def _audio_stream(file: av.container.InputContainer) -> av.AudioStream:
    if not file.streams.audio:
        raise AnalysisFailed(FailureCode.AUDIO_EMPTY)
    stream = file.streams.audio[0]
    if stream.codec_context is None:  # a codec that nobody knows, whatever the types of PyAV promise
        raise AnalysisFailed(FailureCode.AUDIO_CORRUPT)
    stream.codec_context.thread_count = 1
    return stream


def _read_stream(file: av.container.InputContainer) -> Recording:
    stream = _audio_stream(file)
    packets = file.demux(stream)
    duration_s = _header_duration_s(file, stream)
    samples, rate_hz = _decode(packets, stream, duration_s)
    if duration_s is None:
        duration_s = _remaining_duration_s(packets)
        _check(rate_hz, samples.shape[1], duration_s)
    return Recording(samples, rate_hz, duration_s, *_tags(file, stream))


def _tags(file: av.container.InputContainer, stream: av.AudioStream) -> tuple[str, str]:
    """Title and artist."""
    tags = {**_lower_keys(file.metadata), **_lower_keys(stream.metadata)}
    return tags.get("title", ""), tags.get("artist", "")


def _header_duration_s(file: av.container.InputContainer, stream: av.AudioStream) -> float | None:
    """Duration by the header; None where there is none, as in raw AAC, for which FFmpeg only guesses."""
    if file.format.name == "aac":
        return None
    if stream.duration is not None and stream.time_base is not None:
        return float(stream.duration * stream.time_base)
    return file.duration / av.time_base if file.duration is not None else None


def _remaining_duration_s(packets: Packets) -> float | None:
    """End of the last packet; reads the rest of the file without decoding it."""
    end_s = None
    with suppress(av.FFmpegError):  # a file cut off in the middle ends there
        for packet in packets:
            if packet.pts is not None and packet.time_base is not None:
                end_s = float((packet.pts + (packet.duration or 0)) * packet.time_base)
    return end_s


def _decode(packets: Packets, stream: av.AudioStream, duration_s: float | None) -> tuple[NDArray[np.float32], int]:
    """The first 30 s, (samples, channels), and their rate."""
    blocks: list[NDArray[np.float32]] = []
    rate_hz = stream.codec_context.sample_rate or MINIMUM_HZ  # of nothing, if nothing comes: anything but 0
    got = 0
    for block, rate_hz in _blocks(packets, duration_s):
        blocks.append(block)
        got += len(block)
        if got >= int(ANALYSED_SECONDS * rate_hz):
            break
    samples = np.concatenate(blocks) if blocks else np.zeros((0, 1), np.float32)
    return samples[: int(ANALYSED_SECONDS * rate_hz)], rate_hz


def _blocks(packets: Packets, duration_s: float | None) -> Iterator[Block]:
    """What can be decoded, frame by frame. What follows a change of rate or channels is left out."""
    first: tuple[int, int] | None = None
    for frame in _frames(packets):
        block = _samples(frame)
        shape = (frame.sample_rate, block.shape[1])
        if first is None:
            _check(*shape, duration_s)
            first = shape
        elif shape != first:
            return
        yield block, frame.sample_rate


def _frames(packets: Packets) -> Iterator[av.AudioFrame]:
    """Decoded frames up to the end or to where the file is cut off; a damaged packet is passed over, as ffmpeg does.

    Raises:
        av.FFmpegError: nothing could be decoded; the first reason.
    """
    failure: av.FFmpegError | None = None
    decoded = 0
    while True:
        try:
            frames = next(packets).decode()
        except StopIteration:
            break
        except av.FFmpegError as error:
            failure = failure or error  # after a failure to read, not to decode, the next step is StopIteration
            continue
        decoded += len(frames)
        yield from frames
    if failure is not None and not decoded:
        raise failure


def _samples(frame: av.AudioFrame) -> NDArray[np.float32]:
    """A frame of any sample format as float32, (samples, channels), full scale 1.

    Not by ``to_ndarray``: of eight planar channels PyAV 18.1 sees a ninth, and reads wild memory.
    """
    channels = frame.layout.nb_channels
    dtype, zero, scale = _SAMPLE_FORMATS[frame.format.packed.name]
    if frame.format.is_planar:
        planes = [np.frombuffer(memoryview(plane), dtype, frame.samples) for plane in frame.planes[:channels]]
        block = np.stack(planes, axis=1)
    else:
        block = np.frombuffer(memoryview(frame.planes[0]), dtype, frame.samples * channels).reshape(-1, channels)
    return block.astype(np.float32) if scale is None else ((block.astype(np.float64) - zero) * scale).astype(np.float32)


def _lower_keys(tags: dict[str, str]) -> dict[str, str]:
    return {key.lower(): value for key, value in tags.items()}
