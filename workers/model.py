"""Models from their bundles: verified, and put to work. torch is imported only once there is something to load."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from app.domain.results import ModelRef
from app.domain.views import ModelOut
from app.errors import DeviceMissing, ModelBroken
from app.settings import Settings
from workers.serving import LoadedModel, ModelUnavailable

if TYPE_CHECKING:
    from app.inference.adaptive import AdaptiveNetwork
    from app.inference.contracts import Featurizer
    from app.inference.decoding import SandboxedDecoder
    from app.inference.gpu_network import GpuNetwork
    from app.inference.loading import Wishes

log = structlog.get_logger(__name__)


class BundleLoader:
    """Implements ``serving.Loader``. All models share the decoder processes, which are ``starting`` still, or have started."""

    def __init__(self, settings: Settings, decoder: SandboxedDecoder, starting: asyncio.Task[None]) -> None:
        self._settings = settings
        self._decoder = decoder
        self._starting = starting

    @asynccontextmanager
    async def load(self, model: ModelOut) -> AsyncIterator[LoadedModel]:
        """The model, ready to analyse.

        Raises:
            ModelUnavailable: its files are missing or damaged, or its device is.
        """
        try:
            network, featurizer = await asyncio.to_thread(_load, self._settings, model)
        except (ModelBroken, DeviceMissing) as error:
            raise ModelUnavailable(str(error)) from error

        from app.inference.engine import Engine  # noqa: PLC0415  torch is slow to import
        from app.inference.long_decoding import SandboxedLongDecoder  # noqa: PLC0415
        from app.inference.openvino_trunk import default_threads  # noqa: PLC0415

        try:
            await self._starting
            engine = Engine(
                self._decoder,
                featurizer,
                network,
                batch_windows=self._settings.batch_windows,
                feature_threads=self._settings.threads or default_threads(),
                long_decoder=SandboxedLongDecoder(timeout_s=self._settings.decode_timeout_s),
            )
            async with engine:
                yield LoadedModel(model.id, ModelRef(model.name, model.version, model.sha256, model.starter), engine)
        finally:
            network.close()


@asynccontextmanager
async def open_loader(settings: Settings) -> AsyncIterator[BundleLoader]:
    """What loads models, with its decoder processes, which start meanwhile."""
    from app.inference.decoding import SandboxedDecoder  # noqa: PLC0415  only a worker with a model needs them

    decoder = SandboxedDecoder(processes=settings.decode_processes, timeout_s=settings.decode_timeout_s)
    starting = asyncio.create_task(decoder.start(), name="start the decoder processes")
    try:
        yield BundleLoader(settings, decoder, starting)
    finally:
        await asyncio.wait({starting})
        await decoder.close()


def _load(settings: Settings, model: ModelOut) -> tuple[AdaptiveNetwork | GpuNetwork, Featurizer]:
    """Everything that a model needs (blocking, some seconds): Python imports the featurizer's libraries while others read weights."""
    from app.inference.loading import Wishes, load_featurizer  # noqa: PLC0415  torch is slow to import
    from app.inference.memory import large_blocks_apart  # noqa: PLC0415

    wishes = Wishes(
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
        memory_fraction=settings.device_memory_fraction,
    )
    with large_blocks_apart(), ThreadPoolExecutor(1, thread_name_prefix="load") as beside:
        featurizer = beside.submit(load_featurizer, wishes)
        return _load_network(settings, model, wishes), featurizer.result()


def _load_network(settings: Settings, model: ModelOut, wishes: Wishes) -> AdaptiveNetwork | GpuNetwork:
    """Verify the bundle and load its weights."""
    from app.inference.bundle import bundle_path, verify  # noqa: PLC0415
    from app.inference.loading import load_network  # noqa: PLC0415

    bundle = verify(bundle_path(settings.bundles_dir, model.name, model.version))
    if bundle.card.sha256 != model.sha256:
        raise ModelBroken(
            path=str(bundle.weights),
            problem="its checksum is not the one that was registered, so it has been replaced",
            remedy="Import the model again (earmark model import)",
        )
    network = load_network(bundle, wishes, settings.cache_dir)
    log.info("model loaded", model=model.name, version=model.version, precision=network.precision)
    return network
