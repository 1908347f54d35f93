"""The model in service: are its files whole, and is the device there that shall run it?"""

from __future__ import annotations

import asyncio

from sqlalchemy.exc import SQLAlchemyError

from app.cli.doctor.findings import Finding, in_words, ok, warning, wrong
from app.cli.doctor.services import missing_file
from app.db.engine import Database
from app.db.uow import UnitOfWork
from app.domain.views import ModelOut
from app.errors import DeviceMissing, ModelBroken
from app.services.models import active_model
from app.settings import Settings


async def examine_model(settings: Settings) -> list[Finding]:
    """Nothing where the database can't tell which one it is, which is a finding of its own."""
    if missing_file(settings.database_dsn) is not None:
        return []
    database = Database(settings.database_dsn)
    try:
        async with database.reading() as session:
            model = await active_model(UnitOfWork(session))
    except (SQLAlchemyError, OSError):
        return []
    finally:
        await database.close()
    if model is None:
        remedy = "Import one (earmark model import PATH), or build the starter (earmark model starter)"
        return [wrong("model", "no model is active", remedy)]
    return await asyncio.to_thread(_examine, settings, model)


def _examine(settings: Settings, model: ModelOut) -> list[Finding]:
    from app.inference.bundle import bundle_path, verify  # noqa: PLC0415  torch is slow to import
    from app.inference.device import choose_placement  # noqa: PLC0415

    name = f"{model.name}/{model.version}"
    try:
        bundle = verify(bundle_path(settings.bundles_dir, model.name, model.version))
    except ModelBroken as error:
        return [wrong("model", in_words(error), "Do what it says; until then no worker can start")]
    if bundle.card.sha256 != model.sha256:
        remedy = f"Activate it again (earmark model activate {name}), or import the one that was meant"
        return [wrong("model", f"{name} is not the one that was activated", remedy)]
    findings = [_starter(name) if model.starter else ok("model", f"{name} is whole")]
    try:
        findings.append(ok("device", str(choose_placement(settings.device, settings.precision))))
    except DeviceMissing as error:
        findings.append(wrong("device", in_words(error), "Do what it says; until then no worker can start"))
    return findings


def _starter(name: str) -> Finding:
    says = f"{name} is whole, but it is the demonstration model: it knows its own synthesised examples only"
    return warning("model", says, "Import the real one: earmark model import PATH (docs/models.md)")
