"""Why a job failed: the reasons a job's ``error`` can carry, with the words people read.

A failure is stored as its code and parameters, never as a sentence, so that each reader gets it in their own language.
``final`` failures are the file's own fault: trying again can't help, and the file is not kept.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

from app.errors import N_


class FailureCode(enum.StrEnum):
    AUDIO_CORRUPT = "audio_corrupt"
    AUDIO_EMPTY = "audio_empty"
    AUDIO_TOO_SHORT = "audio_too_short"
    AUDIO_TOO_LONG = "audio_too_long"
    AUDIO_CHANNELS = "audio_channels"
    AUDIO_SAMPLE_RATE = "audio_sample_rate"
    DECODE_TIMEOUT = "decode_timeout"
    DECODE_CRASHED = "decode_crashed"
    FILE_GONE = "file_gone"
    SOURCE_UNREACHABLE = "source_unreachable"
    SOURCE_REFUSED = "source_refused"
    SOURCE_ADDRESS = "source_address"
    SOURCE_TOO_LARGE = "source_too_large"
    SOURCE_NOT_AUDIO = "source_not_audio"
    SOURCE_INFECTED = "source_infected"
    WORKER_LOST = "worker_lost"
    INTERNAL = "internal"


@dataclass(frozen=True, slots=True)
class FailureWords:
    title: str
    detail: str
    final: bool


WORDS: dict[FailureCode, FailureWords] = {
    FailureCode.AUDIO_CORRUPT: FailureWords(
        N_("The audio is damaged"),
        N_("The file starts like audio, but its content is damaged or incomplete and can't be decoded."),
        final=True,
    ),
    FailureCode.AUDIO_EMPTY: FailureWords(
        N_("There is no audio in the file"), N_("The file has a valid header but contains no sound."), final=True
    ),
    FailureCode.AUDIO_TOO_SHORT: FailureWords(
        N_("The recording is too short"),
        N_("The recording lasts {duration_s} s. At least {minimum_s} s are needed to hear a genre."),
        final=True,
    ),
    FailureCode.AUDIO_TOO_LONG: FailureWords(
        N_("The recording is too long"),
        N_("By its header the recording lasts {duration_h} hours. The limit is {maximum_h} hours."),
        final=True,
    ),
    FailureCode.AUDIO_CHANNELS: FailureWords(
        N_("Too many channels"), N_("The recording has {channels} channels. Up to {maximum} are supported."), final=True
    ),
    FailureCode.AUDIO_SAMPLE_RATE: FailureWords(
        N_("Unsupported sample rate"),
        N_("The recording has a sample rate of {sample_rate_hz} Hz. Supported: {minimum_hz} to {maximum_hz} Hz."),
        final=True,
    ),
    FailureCode.DECODE_TIMEOUT: FailureWords(
        N_("Decoding took too long"),
        N_("The file could not be decoded within {limit_s} s. It may be damaged; you can try again."),
        final=False,
    ),
    FailureCode.DECODE_CRASHED: FailureWords(
        N_("The decoder crashed on this file"),
        N_("The file made the decoder crash. It may be damaged; you can try again."),
        final=False,
    ),
    FailureCode.FILE_GONE: FailureWords(
        N_("The file is gone"), N_("The uploaded file is no longer in storage. Please upload it again."), final=True
    ),
    FailureCode.SOURCE_UNREACHABLE: FailureWords(
        N_("The recording could not be fetched"),
        N_("{host} did not deliver the recording within the time allowed. You can try again."),
        final=False,
    ),
    FailureCode.SOURCE_REFUSED: FailureWords(
        N_("The recording was refused"),
        N_("{host} answered with {status} instead of the recording. The address may have expired."),
        final=False,
    ),
    FailureCode.SOURCE_ADDRESS: FailureWords(
        N_("The address must not be called"),
        N_("{host}, or a place that it redirects to, lies inside a private network or is not reached by https."),
        final=False,
    ),
    FailureCode.SOURCE_TOO_LARGE: FailureWords(
        N_("The file is too large"),
        N_("The file at {host} is larger than the limit of {limit_mb} MB."),
        final=True,
    ),
    FailureCode.SOURCE_NOT_AUDIO: FailureWords(
        N_("Not a supported audio file"),
        N_("What {host} delivered is not MP3, WAV, FLAC, OGG, Opus, M4A, AAC or WebM audio."),
        final=True,
    ),
    FailureCode.SOURCE_INFECTED: FailureWords(
        N_("The fetched file is infected"),
        N_("The virus scanner found “{signature}” in what “{host}” sent, so it was not kept."),
        final=True,
    ),
    FailureCode.WORKER_LOST: FailureWords(
        N_("The analysis was interrupted too often"),
        N_("The worker stopped {attempts} times while it analysed this file. You can try again."),
        final=False,
    ),
    FailureCode.INTERNAL: FailureWords(
        N_("An unexpected error"),
        N_("The analysis stopped with an unexpected error. It is in the log under the number {error_id}."),
        final=False,
    ),
}


@dataclass(frozen=True, slots=True)
class Failure:
    """A reason and the values its sentence needs."""

    code: FailureCode
    params: dict[str, str | float] = field(default_factory=dict)

    @property
    def words(self) -> FailureWords:
        return WORDS[self.code]


class AnalysisFailed(Exception):
    """Raised by the compute layer: this one job fails, for the reason it carries."""

    def __init__(self, code: FailureCode, **params: str | float) -> None:
        self.failure = Failure(code, params)
        super().__init__(self.failure.words.detail.format(**params))
