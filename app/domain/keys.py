"""Names of the things in storage."""

from __future__ import annotations

import uuid

AUDIO_PREFIX = "audio"
SPECTROGRAM_PREFIX = "spectrograms"
PART_PREFIX = "parts"
EXAMPLE_PREFIX = "examples"
# Raise it when the recipes change, so that the examples are synthesised anew.
_EXAMPLES_EDITION = 1


def audio_key(asset_id: uuid.UUID) -> str:
    return f"{AUDIO_PREFIX}/{asset_id}"


def spectrogram_key(job_id: uuid.UUID) -> str:
    return f"{SPECTROGRAM_PREFIX}/{job_id}.png"


def example_key(genre_id: str) -> str:
    """The synthesised example of a genre (MP3)."""
    return f"{EXAMPLE_PREFIX}/{_EXAMPLES_EDITION}/{genre_id}.mp3"


def part_key(upload_id: uuid.UUID, number: int) -> str:
    """Parts are numbered from 1."""
    return f"{PART_PREFIX}/{upload_id}/{number}"
