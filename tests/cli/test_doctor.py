"""The doctor: a well installation is found well, and of each broken part it says what is wrong and how to mend it."""

from __future__ import annotations

import asyncio
import json
import resource
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import delete, update

from app.cli import main
from app.cli.doctor import examine
from app.cli.doctor.findings import Finding, Verdict
from app.cli.doctor.machine import _memory
from app.db.engine import Database
from app.db.migrations import downgrade, upgrade
from app.db.models import Job, Model, Worker
from app.db.uow import Store
from app.domain.ids import new_id, utc_now
from app.domain.jobs import JobKind
from app.domain.workers import WorkerState
from app.inference.bundle import CARD_FILE, WEIGHTS_FILE, write_bundle
from app.integrations.valkey import EmbeddedValkey
from app.services import workers
from app.services.models import NewModel, activate_model, register_model
from app.settings import Settings
from tests.support.bundles import a_description, hollow_state
from tests.support.factories import make_job, make_principal
from tests.support.outside import RecordingOutside
from tests.support.processes import free_port


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    write_bundle(folder, a_description(), hollow_state())
    return folder


@pytest.fixture(scope="module")
def redis_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    valkey = EmbeddedValkey(tmp_path_factory.mktemp("valkey"))
    valkey.start()
    yield valkey.url
    valkey.stop()


@pytest.fixture
def settings(tmp_path: Path, models_dir: Path, redis_url: str) -> Settings:
    settings = Settings(data_dir=tmp_path / "data", models_dir=models_dir, redis_url=redis_url, device="cpu")
    settings.prepare_data_dir()
    settings.storage_dir.mkdir()
    return settings


@asynccontextmanager
async def installation(dsn: str, models_dir: Path) -> AsyncIterator[Store]:
    """Database, model and worker as they should be."""
    database = Database(dsn)
    await upgrade(database)
    store = Store(database, RecordingOutside())
    card = json.loads((models_dir / "test" / "1" / CARD_FILE).read_text())
    new = NewModel(kind=JobKind.GENRE, name="test", version="1", sha256=card["sha256"], starter=False, card=card)
    async with store.writing() as uow:
        await register_model(uow, new)
        await activate_model(uow, "test", "1")
        await workers.report_worker(uow, new_id(), WorkerState.READY)
    yield store
    await database.close()


@pytest.fixture(scope="module")
def well_database(tmp_path_factory: pytest.TempPathFactory, models_dir: Path) -> Path:
    """Made once, copied for each test."""
    file = tmp_path_factory.mktemp("database") / "earmark.db"

    async def make() -> None:
        async with installation(f"sqlite+aiosqlite:///{file}", models_dir):
            pass

    asyncio.run(make())
    return file


@pytest.fixture
async def installed(settings: Settings, well_database: Path) -> AsyncIterator[Store]:
    shutil.copy(well_database, settings.data_dir / "earmark.db")
    database = Database(settings.database_dsn)
    store = Store(database, RecordingOutside())
    async with store.writing() as uow:
        await uow.session.execute(update(Worker).values(seen_at=utc_now()))
    yield store
    await database.close()


async def findings_of(settings: Settings) -> dict[str, Finding]:
    return {finding.check: finding for finding in await examine(settings)}


async def only_trouble(settings: Settings) -> Finding:
    """The one thing that is not well, on whatever machine this runs."""
    found = await findings_of(settings)
    [trouble] = [one for name, one in found.items() if one.verdict is not Verdict.OK and name not in {"disk", "memory"}]
    assert trouble.remedy
    return trouble


def with_settings(settings: Settings, **values: Any) -> Settings:
    return settings.model_copy(update=values)


# --- well


async def test_a_well_installation_is_found_well(settings: Settings, installed: Store):
    found = await findings_of(settings)
    del found["disk"], found["memory"]
    assert {finding.verdict for finding in found.values()} == {Verdict.OK}, found
    assert {"EARMARK_DATA_DIR", "database", "workers", "queue", "redis", "storage", "model", "device"} <= found.keys()
    assert not list(settings.storage_dir.rglob("*probe*"))


async def test_postgresql_is_asked_for_its_time(settings: Settings, postgres_dsn: str, models_dir: Path):
    async with installation(postgres_dsn, models_dir):
        found = await findings_of(with_settings(settings, database_url=postgres_dsn))
    assert found["database"].says.startswith("postgresql, at revision")
    assert found["clock of the database"].verdict is Verdict.OK


# --- database and what it knows


async def test_a_database_that_is_behind(settings: Settings, installed: Store):
    await downgrade(installed.database, "0009")
    trouble = (await findings_of(settings))["database"]
    assert trouble.verdict is Verdict.WRONG
    assert "revision 0009" in trouble.says
    assert "earmark db upgrade" in (trouble.remedy or "")


async def test_a_database_of_a_newer_version(settings: Settings, installed: Store):
    async with installed.database.engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    assert "newer version" in (await findings_of(settings))["database"].says


async def test_a_database_that_does_not_answer(settings: Settings):
    url = f"postgresql+asyncpg://nobody:secret@127.0.0.1:{free_port()}/none"
    trouble = await only_trouble(with_settings(settings, database_url=url))
    assert (trouble.check, trouble.verdict) == ("database", Verdict.WRONG)
    assert "secret" not in trouble.says
    assert "EARMARK_DATABASE_URL" in (trouble.remedy or "")


async def test_workers_that_are_not_there_or_in_trouble(settings: Settings, installed: Store):
    async with installed.writing() as uow:
        await uow.session.execute(delete(Worker))
    assert (await only_trouble(settings)).says == "none is ready"
    worker_id = new_id()
    for state, message, verdict in (
        (WorkerState.FAILED, "the model is damaged", Verdict.WRONG),
        (WorkerState.READY, "the new model is damaged", Verdict.WARNING),
        (WorkerState.STARTING, None, Verdict.WARNING),
    ):
        async with installed.writing() as uow:
            await workers.report_worker(uow, worker_id, state, message=message)
        trouble = await only_trouble(settings)
        assert (trouble.check, trouble.verdict) == ("workers", verdict)
        assert (message or "one is starting") in trouble.says


async def test_a_queue_in_which_nothing_moves(settings: Settings, installed: Store):
    job = await make_job(installed, await make_principal(installed))
    async with installed.writing() as uow:
        long_ago = utc_now() - timedelta(minutes=10)
        await uow.session.execute(update(Job).where(Job.id == job.id).values(created_at=long_ago))
    assert "nothing is being done" in (await only_trouble(settings)).says


# --- model


async def test_a_damaged_model_and_one_that_was_replaced(settings: Settings, installed: Store, tmp_path: Path):
    copy = tmp_path / "models"
    shutil.copytree(settings.bundles_dir, copy)
    own = with_settings(settings, models_dir=copy)
    async with installed.writing() as uow:
        await uow.session.execute(update(Model).values(sha256="0" * 64))
    assert "not the one that was activated" in (await only_trouble(own)).says
    weights = copy / "test" / "1" / WEIGHTS_FILE
    weights.write_bytes(weights.read_bytes()[:-1])
    trouble = await only_trouble(own)
    assert (trouble.check, trouble.verdict) == ("model", Verdict.WRONG)
    assert str(weights) in trouble.says


async def test_a_device_that_is_not_there(settings: Settings, installed: Store):
    trouble = await only_trouble(with_settings(settings, device="cuda:77"))
    assert (trouble.check, "cuda:77" in trouble.says) == ("device", True)


# --- what Earmark depends on


async def test_a_redis_that_does_not_answer(settings: Settings, installed: Store):
    trouble = await only_trouble(with_settings(settings, redis_url=f"redis://127.0.0.1:{free_port()}"))
    assert (trouble.check, "EARMARK_REDIS_URL" in (trouble.remedy or "")) == ("redis", True)
    embedded = await only_trouble(with_settings(settings, redis_url=None))
    assert "earmark run" in (embedded.remedy or "")


async def test_clocks_that_differ(settings: Settings, installed: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.cli.doctor.services.utc_now", lambda: utc_now() - timedelta(hours=1))
    trouble = await only_trouble(settings)
    assert (trouble.check, trouble.verdict) == ("clock of redis", Verdict.WRONG)
    assert "NTP" in (trouble.remedy or "")


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("storage_url", "s3://bucket"),
        ("oidc_issuer", "http://127.0.0.1:{port}"),
        ("clamd_url", "tcp://127.0.0.1:{port}"),
    ],
)
async def test_what_can_not_be_reached(settings: Settings, installed: Store, setting: str, value: str):
    port = free_port()
    values = {setting: value.format(port=port), "storage_endpoint": f"http://127.0.0.1:{port}"}
    trouble = await only_trouble(with_settings(settings, **values))
    assert trouble.verdict is Verdict.WRONG
    assert f"EARMARK_{setting.upper()}" in (trouble.remedy or "")


# --- machine


async def test_folders_that_others_can_read(settings: Settings, installed: Store):
    settings.data_dir.chmod(0o755)
    trouble = await only_trouble(settings)
    assert (trouble.check, trouble.verdict) == ("EARMARK_DATA_DIR", Verdict.WARNING)
    settings.data_dir.chmod(0o700)
    assert settings.signing_key
    (settings.data_dir / "secret.key").chmod(0o644)
    trouble = await only_trouble(settings)
    assert (trouble.check, trouble.verdict) == ("secret key", Verdict.WRONG)


async def test_limits_of_the_machine(settings: Settings, installed: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 4096))
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(100, 98, 2))
    found = await findings_of(settings)
    assert (found["open files"].verdict, "ulimit -n 4096" in (found["open files"].remedy or "")) == ("warning", True)
    assert (found["disk"].verdict, "retention" in (found["disk"].remedy or "")) == ("wrong", True)
    assert _memory(2**30).verdict is Verdict.WARNING
    assert _memory(2**34).verdict is Verdict.OK


# --- the command


def doctor(*arguments: str, **variables: str) -> tuple[int, str]:
    environment = {f"EARMARK_{name.upper()}": value for name, value in variables.items()}
    answer = CliRunner(env=environment).invoke(main, ["doctor", *arguments])
    return answer.exit_code, answer.output


def test_nothing_is_made_where_nothing_is(tmp_path: Path):
    folder = tmp_path / "none"
    code, said = doctor(data_dir=str(folder))
    assert code == 1
    assert "earmark set-up" in said
    assert not folder.exists()


def test_wrong_settings_are_a_finding(tmp_path: Path):
    code, said = doctor("--json", data_dir=str(tmp_path), port="web")
    assert code == 1
    [finding] = json.loads(said)
    assert (finding["check"], finding["verdict"]) == ("settings", "wrong")
    assert "EARMARK_PORT" in finding["says"]
