"""What kind of audio file is this? Told from its first bytes, never from its name."""

from __future__ import annotations

import enum
import re
import unicodedata

SNIFF_BYTES = 4096
NAME_LIMIT = 255

_FORBIDDEN_IN_NAMES = re.compile(r"[\x00-\x1f\x7f/\\]+")


class Container(enum.StrEnum):
    """Kind of file, told from its content and not from its name."""

    MP3 = "mp3"
    WAV = "wav"
    FLAC = "flac"
    OGG = "ogg"
    MP4 = "m4a"
    AAC = "aac"
    WEBM = "webm"

    @property
    def media_type(self) -> str:
        return _MEDIA_TYPES[self]


_MEDIA_TYPES = {
    Container.MP3: "audio/mpeg",
    Container.WAV: "audio/wav",
    Container.FLAC: "audio/flac",
    Container.OGG: "audio/ogg",
    Container.MP4: "audio/mp4",
    Container.AAC: "audio/aac",
    Container.WEBM: "audio/webm",
}


def sniff_container(head: bytes) -> Container | None:
    """The container whose magic bytes ``head`` (the first SNIFF_BYTES of a file) begins with, or None."""
    if head[:4] in (b"RIFF", b"RF64") and head[8:12] == b"WAVE":
        return Container.WAV
    if head[4:8] == b"ftyp":
        return Container.MP4
    for magic, container in (
        (b"fLaC", Container.FLAC),
        (b"OggS", Container.OGG),
        (b"\x1a\x45\xdf\xa3", Container.WEBM),
    ):
        if head.startswith(magic):
            return container
    if head.startswith(b"ID3"):
        return _sniff_mpeg_frames(head[_id3_length(head) :]) or Container.MP3
    return _sniff_mpeg_frames(head)


def _id3_length(head: bytes) -> int:
    """Bytes that the tag in front takes up: ten, and a number of four times seven bits."""
    return 10 + sum((byte & 0x7F) << shift for byte, shift in zip(head[6:10], (21, 14, 7, 0), strict=False))


def _sniff_mpeg_frames(head: bytes) -> Container | None:
    """MPEG audio has no magic bytes, only a frame header: 11 set bits, then fields with forbidden values."""
    start = len(head) - len(head.lstrip(b"\x00"))  # some encoders pad the start with zeros
    frame = head[start : start + 4]
    if len(frame) < 4 or frame[0] != 0xFF or frame[1] & 0xE0 != 0xE0:
        return None
    version, layer = frame[1] >> 3 & 3, frame[1] >> 1 & 3
    if layer == 0:  # in ADTS, AAC's framing, the layer bits are always 0
        return Container.AAC if frame[1] & 0xF6 == 0xF0 else None
    bitrate, sample_rate = frame[2] >> 4, frame[2] >> 2 & 3
    return None if version == 1 or bitrate == 15 or sample_rate == 3 else Container.MP3


def clean_name(name: str) -> str:
    """A file name safe to store and show: last path component, no control characters, at most 255 characters."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    cleaned = _FORBIDDEN_IN_NAMES.sub("", last).strip()
    if len(cleaned) > NAME_LIMIT:
        stem, dot, suffix = cleaned.rpartition(".")
        keep_suffix = dot + suffix if stem and len(suffix) <= 10 else ""
        cleaned = cleaned[: NAME_LIMIT - len(keep_suffix)] + keep_suffix
    return cleaned or "audio"
