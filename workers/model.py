"""The active model: found, verified, and put to work. torch is imported only once there is something to load."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from app.domain.results import ModelRef
from app.domain.views import ModelOut
from app.errors import DeviceMissing, ModelBroken
from app.integrations.outage import Outage
from app.resources import Resources
from app.services.models import active_model
from app.settings import Settings
from workers.analysis import LoadedModel, ModelUnavailable
from workers.trouble import reaching

if TYPE_CHECKING:
    from app.inference.adaptive import AdaptiveNetwork
    from app.inference.contracts import Featurizer
    from app.inference.gpu_network import GpuNetwork

log = structlog.get_logger(__name__)

_NO_MODEL = (
    "No model is active. Import one (earmark model import PATH) and activate it (earmark model activate NAME), "
    "or build the starter (earmark model starter)."
)


@asynccontextmanager
async def open_model(settings: Settings, parts: Resources) -> AsyncIterator[LoadedModel]:
    """The active model, ready to analyse.

    Raises:
        ModelUnavailable: none is active, its files are missing or damaged, or its device is.
        Unreachable: the database is out of reach.
    """
    model = await _active(parts)
    try:
        network, featurizer = await asyncio.to_thread(_load, settings, model)
    except (ModelBroken, DeviceMissing) as error:
        raise ModelUnavailable(str(error)) from error

    from app.inference.decoding import SandboxedDecoder  # noqa: PLC0415  only a worker with a model needs them
    from app.inference.engine import Engine  # noqa: PLC0415

    decoder = SandboxedDecoder(processes=settings.decode_processes, timeout_s=settings.decode_timeout_s)
    await decoder.start()
    try:
        engine = Engine(
            decoder,
            featurizer,
            network,
            batch_windows=settings.batch_windows,
            feature_threads=os.cpu_count() or 1,
        )
        async with engine:
            yield LoadedModel(model.id, ModelRef(model.name, model.version, model.sha256, model.starter), engine)
    finally:
        await decoder.close()
        network.close()


async def _active(parts: Resources) -> ModelOut:
    with reaching(Outage("database")):
        async with parts.store.reading() as uow:
            model = await active_model(uow)
    if model is None:
        raise ModelUnavailable(_NO_MODEL)
    return model


def _load(settings: Settings, model: ModelOut) -> tuple[AdaptiveNetwork | GpuNetwork, Featurizer]:
    """Verify the bundle and load its weights (blocking, some seconds)."""
    from app.inference.bundle import bundle_path, verify  # noqa: PLC0415  torch is slow to import
    from app.inference.loading import Wishes, load_network  # noqa: PLC0415
    from app.inference.picture import FeatureExtractor  # noqa: PLC0415

    bundle = verify(bundle_path(settings.bundles_dir, model.name, model.version))
    if bundle.card.sha256 != model.sha256:
        raise ModelBroken(
            path=str(bundle.weights),
            problem="its checksum is not the one that was registered, so it has been replaced",
            remedy="Import the model again (earmark model import)",
        )
    wishes = Wishes(
        device=settings.device,
        precision=settings.precision,
        threads=settings.threads,
        memory_fraction=settings.device_memory_fraction,
    )
    network = load_network(bundle, wishes, settings.cache_dir)
    log.info("model loaded", model=model.name, version=model.version, precision=network.precision)
    return network, FeatureExtractor()
