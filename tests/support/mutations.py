"""Damage to files, of the kinds that break parsers: always the same for the same seed."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable

import numpy as np

from tests.support.sounds import chords, encode, melody, stereo

# Of each container one file, small, so that much of it is structure.
CONTAINERS = ("mp3", "wav", "flac", "ogg", "m4a", "webm")
_HEADER_BYTES = 256
_EXTREMES = (0x00, 0x01, 0x7F, 0x80, 0xFE, 0xFF)
_NUMBERS = (0, 1, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x00FF_FFFF, 0x0000_FFFF)

Mutation = Callable[[bytearray, np.random.Generator], bytearray]


def originals() -> dict[str, bytes]:
    """Valid files by container."""
    sound = stereo(chords(2, 32_000), melody(2, 32_000))
    tags = {
        "m4a": ("-metadata", "title=x"),
        "webm": ("-metadata", "title=x"),
        "mp3": ("-metadata", "title=x", "-f", "mp3"),
    }
    return {container: encode(sound, 32_000, container, *tags.get(container, ())) for container in CONTAINERS}


def mutated(content: bytes, seed: int) -> bytes:
    """One to four kinds of damage, one after the other. Ogg's checksums are made right again: else that is all one tests."""
    random = np.random.default_rng(seed)
    damaged = bytearray(content)
    for _ in range(random.integers(1, 5)):
        damage = _DAMAGES[random.integers(len(_DAMAGES))]
        damaged = damage(damaged, random) or bytearray(content[:1])
    return _with_ogg_checksums(damaged) if content.startswith(_OGG_PAGE) else bytes(damaged)


def _with_ogg_checksums(content: bytearray) -> bytes:
    """RFC 3533, section 6: in each page, bytes 22 to 25 are the CRC of the page with these bytes zero."""
    starts = [found.start() for found in re.finditer(_OGG_PAGE, content)]
    for start, end in itertools.pairwise([*starts, len(content)]):
        if end - start >= 26:
            content[start + 22 : start + 26] = bytes(4)
            checksum = 0
            for byte in content[start:end]:
                checksum = (checksum << 8 ^ _OGG_CRC[checksum >> 24 ^ byte]) & 0xFFFF_FFFF
            content[start + 22 : start + 26] = checksum.to_bytes(4, "little")
    return bytes(content)


def _ogg_crc_of(byte: int) -> int:
    checksum = byte << 24
    for _ in range(8):
        checksum = checksum << 1 ^ (0x04C1_1DB7 if checksum & 0x8000_0000 else 0)
    return checksum & 0xFFFF_FFFF


_OGG_PAGE = b"OggS"
_OGG_CRC = [_ogg_crc_of(byte) for byte in range(256)]


def _position(content: bytearray, random: np.random.Generator) -> int:
    """As often in the first bytes, where the structure is, as in all of the file."""
    end = len(content) if random.random() < 0.5 else min(len(content), _HEADER_BYTES)
    return int(random.integers(end))


def _span(content: bytearray, random: np.random.Generator) -> slice:
    start = _position(content, random)
    return slice(start, start + int(2 ** random.uniform(0, 12)))


def _flip_bits(content: bytearray, random: np.random.Generator) -> bytearray:
    for _ in range(random.integers(1, 32)):
        content[_position(content, random)] ^= 1 << int(random.integers(8))
    return content


def _extreme_bytes(content: bytearray, random: np.random.Generator) -> bytearray:
    for _ in range(random.integers(1, 16)):
        content[_position(content, random)] = _EXTREMES[random.integers(len(_EXTREMES))]
    return content


def _extreme_number(content: bytearray, random: np.random.Generator) -> bytearray:
    """Where a length, a count or an offset may stand: of 4 bytes, in either order."""
    number = int(_NUMBERS[random.integers(len(_NUMBERS))])
    start = _position(content, random)
    content[start : start + 4] = number.to_bytes(4, "big" if random.random() < 0.5 else "little")
    return content


def _cut_off(content: bytearray, random: np.random.Generator) -> bytearray:
    return content[: _position(content, random)]


def _leave_out(content: bytearray, random: np.random.Generator) -> bytearray:
    del content[_span(content, random)]
    return content


def _repeat(content: bytearray, random: np.random.Generator) -> bytearray:
    span = _span(content, random)
    return content[: span.stop] + content[span] * int(random.integers(1, 9)) + content[span.stop :]


def _noise(content: bytearray, random: np.random.Generator) -> bytearray:
    span = _span(content, random)
    content[span] = random.bytes(len(content[span]))
    return content


def _move(content: bytearray, random: np.random.Generator) -> bytearray:
    """A part of the file to another place."""
    span = _span(content, random)
    moved = content[span]
    del content[span]
    start = _position(content, random) if content else 0
    return content[:start] + moved + content[start:]


_DAMAGES: tuple[Mutation, ...] = (
    _flip_bits,
    _extreme_bytes,
    _extreme_number,
    _cut_off,
    _leave_out,
    _repeat,
    _noise,
    _move,
)
