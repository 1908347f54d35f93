"""A worker whose decoding, batching and engine are real; only the pictures are empty and the network is none.

The first batches are too large for its memory: it takes two windows at a time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray

from app.domain.results import ModelRef
from app.domain.views import ModelOut
from app.inference.contracts import PICTURE_SIDE, Clip, Windows
from app.inference.decoding import SandboxedDecoder
from app.inference.engine import Engine
from app.inference.fake import FakeNetwork
from app.settings import Settings
from workers.serving import LoadedModel

_WINDOWS = 3
_FITTING_WINDOWS = 2


class _BlankPictures:
    """Implements ``contracts.Featurizer``: so many windows of any clip, all alike."""

    def windows(self, clip: Clip) -> Windows:
        seconds = len(clip.samples) / 22_050
        spans_s = [(seconds * number / _WINDOWS, seconds * (number + 1) / _WINDOWS) for number in range(_WINDOWS)]
        pictures = np.zeros((_WINDOWS, PICTURE_SIDE, PICTURE_SIDE, 3), np.uint8)
        return Windows(pictures, spans_s, seconds, b"png")


class _SmallNetwork(FakeNetwork):
    def forward(self, pictures: NDArray[np.uint8]) -> NDArray[np.float32]:
        if len(pictures) > _FITTING_WINDOWS:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return super().forward(pictures)


class _Loader:
    def __init__(self, decoder: SandboxedDecoder) -> None:
        self._decoder = decoder

    @asynccontextmanager
    async def load(self, model: ModelOut) -> AsyncIterator[LoadedModel]:
        engine = Engine(self._decoder, _BlankPictures(), _SmallNetwork(), batch_windows=16, feature_threads=2)
        async with engine:
            yield LoadedModel(model.id, ModelRef(model.name, model.version, model.sha256, model.starter), engine)


@asynccontextmanager
async def open_small_networks(settings: Settings) -> AsyncIterator[_Loader]:
    decoder = SandboxedDecoder(processes=settings.decode_processes, timeout_s=settings.decode_timeout_s)
    await decoder.start()
    try:
        yield _Loader(decoder)
    finally:
        await decoder.close()
