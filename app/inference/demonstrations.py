"""A short piece of each genre to listen to, synthesised by the recipes that the starter knows."""

from __future__ import annotations

import io

import numpy as np
import soundfile

from app.inference.contracts import SAMPLE_RATE_HZ
from app.inference.recipes import recipe

_SECONDS = 12.0
_FADE_S = 0.75
# Far from the seeds that the starter is fitted and measured on.
_SEED = 5_000


def demonstration(genre_id: str) -> bytes:
    """An MP3 of 12 s, mono, 22,050 Hz; always the same sound for a genre."""
    sound = recipe(genre_id, _SEED, _SECONDS)
    fade = np.linspace(0, 1, int(_FADE_S * SAMPLE_RATE_HZ), dtype=np.float32)
    sound[-len(fade) :] *= fade[::-1]
    file = io.BytesIO()
    soundfile.write(file, sound, SAMPLE_RATE_HZ, format="MP3", subtype="MPEG_LAYER_III")
    return file.getvalue()
