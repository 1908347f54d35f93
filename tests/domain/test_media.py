"""Containers are told from content; names are made safe."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain.media import NAME_LIMIT, Container, clean_name, sniff_container


@pytest.mark.parametrize(
    ("head", "container"),
    [
        (b"RIFF\x00\x00\x00\x00WAVEfmt ", Container.WAV),
        (b"RF64\xff\xff\xff\xffWAVEds64", Container.WAV),
        (b"RIFF\x00\x00\x00\x00AVI LIST", None),
        (b"fLaC\x00", Container.FLAC),
        (b"OggS\x00", Container.OGG),
        (b"\x1a\x45\xdf\xa3\x01", Container.WEBM),
        (b"\x00\x00\x00\x20ftypM4A ", Container.MP4),
        (b"ID3\x03\x00", Container.MP3),
        (b"ID3\x04\x00\x00\x00\x00\x01\x02" + bytes(130) + b"\xff\xf1\x50\x80", Container.AAC),
        (b"ID3\x04\x00\x00\x00\x00\x01\x02" + bytes(130) + b"\xff\xfb\x90\x64", Container.MP3),
        (b"\xff\xfb\x90\x64", Container.MP3),
        (b"\x00\x00\xff\xf3\x40\xc4", Container.MP3),
        (b"\xff\xf1\x50\x80", Container.AAC),
        (b"\xff\xff\xff\xff", None),
        (b"\xff\xd8\xff\xe0", None),
        (b"%PDF-1.7", None),
        (b"", None),
        (b"\x00" * 4096, None),
    ],
)
def test_sniffing(head: bytes, container: Container | None):
    assert sniff_container(head) is container


@given(st.binary(max_size=64))
def test_sniffing_never_fails(head: bytes):
    assert sniff_container(head) in (None, *Container)


@pytest.mark.parametrize(
    ("name", "cleaned"),
    [
        ("晨曲.mp3", "晨曲.mp3"),
        ("../../etc/passwd", "passwd"),
        ("C:\\music\\a.wav", "a.wav"),
        ("a\r\nSet-Cookie: x.mp3", "aSet-Cookie: x.mp3"),
        ("e\u0301.mp3", "\u00e9.mp3"),
        ("", "audio"),
        ("/", "audio"),
        ("   ", "audio"),
    ],
)
def test_names(name: str, cleaned: str):
    assert clean_name(name) == cleaned


def test_a_long_name_keeps_its_suffix():
    cleaned = clean_name("x" * 300 + ".flac")
    assert len(cleaned) == NAME_LIMIT
    assert cleaned.endswith("x.flac")


@given(st.text(max_size=600))
def test_a_cleaned_name_is_always_safe(name: str):
    cleaned = clean_name(name)
    assert 0 < len(cleaned) <= NAME_LIMIT
    assert not set(cleaned) & set("/\\\r\n\x00")
    assert clean_name(cleaned) == cleaned
