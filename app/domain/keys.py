"""Names of the things in storage."""

from __future__ import annotations

import uuid

AUDIO_PREFIX = "audio"
SPECTROGRAM_PREFIX = "spectrograms"


def audio_key(asset_id: uuid.UUID) -> str:
    return f"{AUDIO_PREFIX}/{asset_id}"


def spectrogram_key(job_id: uuid.UUID) -> str:
    return f"{SPECTROGRAM_PREFIX}/{job_id}.png"
