"""What a decoder process says to its worker. The other way goes one empty byte: the content is in shared memory."""

from __future__ import annotations

from typing import Annotated

import msgspec

from app.domain.failures import FailureCode
from app.inference.contracts import ANALYSED_SECONDS, SAMPLE_RATE_HZ, Clip, Stretch

SAMPLES_LIMIT = int(ANALYSED_SECONDS * SAMPLE_RATE_HZ)
SAMPLES_BYTES = 4 * SAMPLES_LIMIT  # float32
MESSAGE_LIMIT_BYTES = 65_536
ASK = b"\0"


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The process is up, limited and waiting. ``missing``: the layers of its isolation that this kernel does not offer."""

    missing: list[str]


class Decoded(msgspec.Struct, frozen=True, tag="decoded"):
    """``sample_count`` samples are in shared memory; the rest is as in ``contracts.Clip``."""

    sample_count: Annotated[int, msgspec.Meta(ge=1, le=SAMPLES_LIMIT)]
    duration_s: float
    sample_rate_hz: int
    channels: int
    title: str | None
    artist: str | None
    audible: bool


class Continued(Decoded, frozen=True, tag="continued"):
    """A stretch of a whole recording; see ``contracts.Stretch``."""

    start_s: float
    progress: float | None
    last: bool


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The file's own fault."""

    code: FailureCode
    params: dict[str, str | float]


class Broke(msgspec.Struct, frozen=True, tag="broke"):
    """An exception nobody foresaw; the process goes on."""

    reason: str


Message = Ready | Decoded | Continued | Refused | Broke
encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Message).decode


def decoded(clip: Clip) -> Decoded:
    return Decoded(
        sample_count=len(clip.samples),
        duration_s=clip.duration_s,
        sample_rate_hz=clip.sample_rate_hz,
        channels=clip.channels,
        title=clip.title,
        artist=clip.artist,
        audible=clip.audible,
    )


def continued(stretch: Stretch) -> Continued:
    facts = msgspec.structs.asdict(decoded(stretch.clip))
    return Continued(**facts, start_s=stretch.start_s, progress=stretch.progress, last=stretch.last)
