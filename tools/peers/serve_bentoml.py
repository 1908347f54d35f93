"""The network behind BentoML: one service whose batchable method forms the batches."""

from __future__ import annotations

import asyncio
from pathlib import Path

import bentoml
from listening import load_network, pictures_of, probabilities

_MOST_CLIPS = 8


@bentoml.service(traffic={"timeout": 600, "max_concurrency": 64}, workers=1)
class Network:
    def __init__(self) -> None:
        self.network, self.dtype = load_network()

    @bentoml.api(batchable=True, max_batch_size=_MOST_CLIPS, max_latency_ms=60_000)
    def listen(self, contents: list[bytes]) -> list[list[float]]:
        return probabilities(self.network, self.dtype, [pictures_of(content) for content in contents])


@bentoml.service(traffic={"timeout": 600, "max_concurrency": 64})
class Listening:
    network = bentoml.depends(Network)

    @bentoml.api(route="/predict")
    async def predict(self, file: Path) -> dict[str, list[float]]:
        [found] = await self.network.to_async.listen([await asyncio.to_thread(file.read_bytes)])
        return {"probabilities": found}
