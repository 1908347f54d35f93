"""The engine puts decoder, featurizer and network together; here with stand-ins whose answers are known."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from app.domain.failures import AnalysisFailed, FailureCode
from app.inference.batching import BatcherClosed
from app.inference.contracts import Clip, Windows
from app.inference.engine import Engine
from app.inference.fake import FakeNetwork
from tests.support.sounds import at_hand


class Decoder:
    at_once = 2

    async def decode(self, content):
        if not content:
            raise AnalysisFailed(FailureCode.AUDIO_CORRUPT)
        samples = np.full(22_050, content[0], np.float32)
        return Clip(samples, 30.0, 44_100, channels=2, title="Title", artist=None, audible=True)


class Featurizer:
    def windows(self, clip):
        first = np.full((224, 224, 3), int(clip.samples[0]), np.uint8)
        return Windows(np.stack([first, first + 1]), [(0.0, 11.4), (11.4, 22.8)], 30.0, b"png")


def an_engine() -> Engine:
    return Engine(Decoder(), Featurizer(), FakeNetwork(), batch_windows=3, feature_threads=2)


async def test_an_analysis_carries_everything_that_a_worker_records():
    async with an_engine() as engine:
        analysis = await engine.analyse(at_hand(b"\x07"))
    assert (analysis.clip.title, analysis.clip.channels) == ("Title", 2)
    assert [(window.start_s, window.end_s) for window in analysis.windows] == [(0.0, 11.4), (11.4, 22.8)]
    expected = FakeNetwork().forward(np.stack([np.full((224, 224, 3), value, np.uint8) for value in (7, 8)]))
    np.testing.assert_allclose([window.probabilities for window in analysis.windows], expected)
    assert (analysis.spectrogram_png, analysis.analysed_seconds) == (b"png", 30.0)
    assert min(analysis.decode_ms, analysis.features_ms, analysis.forward_ms) >= 0


async def test_files_analysed_at_once_keep_their_own_results():
    async with an_engine() as engine:
        alone = [await engine.analyse(at_hand(bytes([value]))) for value in range(6)]
        together = await asyncio.gather(*(engine.analyse(at_hand(bytes([value]))) for value in range(6)))
    assert [analysis.windows for analysis in together] == [analysis.windows for analysis in alone]


async def test_a_file_that_cannot_be_decoded_fails_alone():
    async with an_engine() as engine:
        bad, good = await asyncio.gather(
            engine.analyse(at_hand(b"")), engine.analyse(at_hand(b"\x01")), return_exceptions=True
        )
    assert bad.failure.code is FailureCode.AUDIO_CORRUPT
    assert len(good.windows) == 2


class SlowDecoder(Decoder):
    """Decodes nothing before it is told to."""

    def __init__(self):
        self.may_go_on = asyncio.Event()

    async def decode(self, content):
        await self.may_go_on.wait()
        return await super().decode(content)


async def test_no_more_files_are_in_memory_than_the_decoders_can_use_soon():
    decoder, fetched = SlowDecoder(), 0

    async def fetch():
        nonlocal fetched
        fetched += 1
        return b"\x01"

    async with Engine(decoder, Featurizer(), FakeNetwork(), batch_windows=3, feature_threads=2) as engine:
        analyses = [asyncio.create_task(engine.analyse(fetch)) for _ in range(20)]
        for _ in range(100):
            await asyncio.sleep(0)
        assert fetched == 2 * decoder.at_once
        decoder.may_go_on.set()
        done = await asyncio.gather(*analyses)
    assert fetched == 20
    assert all(analysis.clip.samples.size == 0 for analysis in done), "nor are samples kept that nobody needs any more"


async def test_what_cannot_be_fetched_fails_alone():
    async def gone():
        raise FileNotFoundError

    async with an_engine() as engine:
        outcomes = await asyncio.gather(
            *(engine.analyse(gone) for _ in range(9)), engine.analyse(at_hand(b"\x01")), return_exceptions=True
        )
    assert [type(outcome) for outcome in outcomes[:-1]] == [FileNotFoundError] * 9
    assert len(outcomes[-1].windows) == 2


async def test_a_closed_engine_takes_no_more_files():
    engine = an_engine()
    engine.start()
    await engine.close()
    assert not engine.state.alive
    with pytest.raises(BatcherClosed):
        await engine.analyse(at_hand(b"\x01"))
