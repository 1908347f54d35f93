"""Turn an audio file into the clip that is analysed. Runs inside a decoder process; no torch here."""

from __future__ import annotations

import math
import unicodedata

import numpy as np
import soxr
from numpy.typing import NDArray

from app.domain.failures import AnalysisFailed, FailureCode
from app.inference.contracts import ANALYSED_SECONDS, MINIMUM_S, SAMPLE_RATE_HZ, Clip
from app.inference.readers import Recording, read_recording

TAG_LIMIT = 200

# Float files may hold anything. Integers stored as floats stay as they are, since the pictures don't depend on loudness;
# what is larger than any of those is damage.
_LARGEST_SAMPLE = 2.0**31

# Silence: no stretch of 400 ms (the measuring block of ITU-R BS.1770) reaches -60 dBFS (the level below which FFmpeg's
# silencedetect filter speaks of silence). The standard deviation is the level less a constant offset, which can't be heard.
_SILENCE_BLOCK_S = 0.4
_SILENCE_DBFS = -60.0


def decode_file(path: str) -> Clip:
    """Decode the first 30 s, mix to mono, resample to 22,050 Hz: what ``librosa.load`` gives, bit for bit.

    NaN becomes 0, infinities and values beyond 2**31 full scale; other values outside of +-1 stay, as in librosa.

    Raises:
        AnalysisFailed: damaged, empty, shorter than 0.5 s, longer than 24 h, or of a shape we don't support.
    """
    recording = read_recording(path)
    check_length(_decoded_s(recording), recording.duration_s)
    samples = resample(mix_to_mono(recording.samples), recording.sample_rate_hz)
    return Clip(
        samples=samples,
        duration_s=_duration_s(recording),
        sample_rate_hz=recording.sample_rate_hz,
        channels=recording.samples.shape[1],
        title=clean_tag(recording.title),
        artist=clean_tag(recording.artist),
        audible=is_audible(samples),
    )


def _decoded_s(recording: Recording) -> float:
    return len(recording.samples) / recording.sample_rate_hz


def _duration_s(recording: Recording) -> float:
    """The header's word counts only for what was not decoded: a file cut off before 30 s is as long as what is there."""
    decoded_s = _decoded_s(recording)
    if decoded_s < int(ANALYSED_SECONDS * recording.sample_rate_hz) / recording.sample_rate_hz:
        return decoded_s
    return max(decoded_s, recording.duration_s or 0.0)


def check_length(decoded_s: float, header_s: float | None) -> None:
    """Raises AnalysisFailed if too little could be decoded."""
    if decoded_s >= MINIMUM_S:
        return
    if (header_s or 0.0) >= MINIMUM_S:  # there was more once
        raise AnalysisFailed(FailureCode.AUDIO_CORRUPT)
    if decoded_s == 0:
        raise AnalysisFailed(FailureCode.AUDIO_EMPTY)
    raise AnalysisFailed(FailureCode.AUDIO_TOO_SHORT, duration_s=round(decoded_s, 2), minimum_s=MINIMUM_S)


def mix_to_mono(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Average the channels of (samples, channels); the result is finite."""
    mono = _average(samples)
    if np.isfinite(mono).all() and np.abs(mono).max() <= _LARGEST_SAMPLE:
        return mono
    tamed = np.where(np.abs(samples) > _LARGEST_SAMPLE, np.sign(samples), samples)
    return _average(np.nan_to_num(tamed, nan=0.0))


def _average(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    match samples.shape[1]:
        case 1:
            return samples[:, 0]
        case 2:  # the same bits as the mean, twenty times as fast
            return (samples[:, 0] + samples[:, 1]) * np.float32(0.5)
        case _:
            mean: NDArray[np.float32] = samples.mean(axis=1)
            return mean


def resample(samples: NDArray[np.float32], rate_hz: int) -> NDArray[np.float32]:
    """To 22,050 Hz with soxr HQ, (ceil(samples * 22,050 / rate),)."""
    if rate_hz == SAMPLE_RATE_HZ:
        return samples
    length = math.ceil(len(samples) * (SAMPLE_RATE_HZ / rate_hz))
    resampled: NDArray[np.float32] = soxr.resample(samples, rate_hz, SAMPLE_RATE_HZ, "HQ")[:length]
    return np.pad(resampled, (0, length - len(resampled)))


def is_audible(samples: NDArray[np.float32]) -> bool:
    size = round(_SILENCE_BLOCK_S * SAMPLE_RATE_HZ)
    loudest = max(samples[start : start + size].std(dtype=np.float64) for start in range(0, len(samples), size))
    return bool(loudest >= 10 ** (_SILENCE_DBFS / 20))


def clean_tag(text: str) -> str | None:
    """A tag as it may be stored and shown: no control or invisible characters, single spaces, bounded length."""
    visible = "".join(" " if unicodedata.category(character)[0] in "CZ" else character for character in text[:10_000])
    return " ".join(unicodedata.normalize("NFC", visible).split())[:TAG_LIMIT].strip() or None
