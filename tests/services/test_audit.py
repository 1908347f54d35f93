"""The audit log: nobody changes it, audio that was listened to is in it, and it can be taken out."""

from __future__ import annotations

import csv
import io
import json
import uuid
from datetime import timedelta

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from app.db.models import AuditEntry, AuditHorizon
from app.db.uow import Store
from app.domain.administration import AuditFilter
from app.domain.ids import new_id, utc_now
from app.domain.permissions import Principal, Role
from app.services import audit
from app.services.audit_access import AccessLog
from app.services.audit_export import AuditFormat, begin_export, export
from tests.support.factories import make_principal

UNA = Principal("Una", Role.ADMIN, user_id=new_id())


async def _record(store: Store, *names: str) -> None:
    for name in names:
        async with store.writing() as uow:
            audit.record(uow, UNA, "preferences.change", target_type="preference", target_id=name, details={"to": 1})


async def _actions(store: Store, action: str) -> list[AuditEntry]:
    async with store.reading() as uow:
        query = sa.select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
        return list((await uow.session.scalars(query)).all())


def _replacement() -> str:
    columns = ", ".join(column.name for column in AuditEntry.__table__.columns)
    others = columns.replace("actor", "'somebody else'")
    return f"INSERT OR REPLACE INTO audit_entries ({columns}) SELECT {others} FROM audit_entries"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'somebody else'",
        "DELETE FROM audit_entries",
        "INSERT INTO audit_horizons (id, delete_before) VALUES (1, '2199-01-01 00:00:00+00')",
    ],
)
async def test_the_database_itself_refuses_changes(store: Store, statement: str):
    await _record(store, "footer")
    with pytest.raises(DBAPIError, match=r"append-only|30 days"):
        async with store.writing() as uow:
            await uow.session.execute(sa.text(statement))
    assert [entry.actor for entry in await _actions(store, "preferences.change")] == ["Una"]


async def test_nor_is_there_a_way_around_the_refusal(store: Store):
    await _record(store, "footer")
    ways = {"sqlite": _replacement(), "postgresql": "TRUNCATE audit_entries"}
    with pytest.raises(DBAPIError, match="append-only"):
        async with store.writing() as uow:
            await uow.session.execute(sa.text(ways[uow.session.get_bind().dialect.name]))
    assert [entry.actor for entry in await _actions(store, "preferences.change")] == ["Una"]


async def test_only_what_lies_behind_the_horizon_can_go(store: Store):
    await _record(store, "footer")
    long_ago = utc_now() - timedelta(days=100)
    async with store.writing() as uow:
        old = AuditEntry(action="preferences.change", actor="Otto", created_at=long_ago)
        uow.session.add_all([old, AuditHorizon(id=1, delete_before=long_ago + timedelta(days=1))])
    async with store.writing() as uow:
        await uow.session.execute(sa.delete(AuditEntry).where(AuditEntry.actor == "Otto"))
    with pytest.raises(DBAPIError, match="append-only"):
        async with store.writing() as uow:
            await uow.session.execute(sa.delete(AuditEntry))
    with pytest.raises(DBAPIError, match="30 days"):
        async with store.writing() as uow:
            await uow.session.execute(sa.update(AuditHorizon).values(delete_before=utc_now() - timedelta(days=20)))
    assert [entry.actor for entry in await _actions(store, "preferences.change")] == ["Una"]


async def test_listening_is_written_down_once_an_hour_for_each_caller(store: Store, monkeypatch):
    una, otto, job_id = await make_principal(store), await make_principal(store, Role.VIEWER, "Otto"), new_id()
    key = Principal("importer", Role.VIEWER, api_key_id=new_id())
    now = utc_now().replace(minute=10)
    monkeypatch.setattr("app.services.audit_access.utc_now", lambda: now)
    one, other_process = AccessLog(), AccessLog()
    for caller in (una, otto, key, una):
        await one.note(store, caller, job_id)
        await other_process.note(store, caller, job_id)
    await one.note(store, una, new_id())
    entries = await _actions(store, "audio.access")
    assert [(entry.actor, entry.target_id == str(job_id)) for entry in entries] == [
        ("Una", True), ("Otto", True), ("importer", True), ("Una", False)
    ]  # fmt: skip
    monkeypatch.setattr("app.services.audit_access.utc_now", lambda: now + timedelta(hours=1))
    await one.note(store, una, job_id)
    assert len(await _actions(store, "audio.access")) == 5


async def test_what_is_remembered_is_bounded(sqlite_store: Store, monkeypatch):
    monkeypatch.setattr("app.services.audit_access._REMEMBERED", 2)
    log, jobs = AccessLog(), [new_id() for _ in range(4)]
    for job_id in [*jobs, *jobs]:
        await log.note(sqlite_store, UNA, job_id)
    assert len(log._written) == 2
    assert len(await _actions(sqlite_store, "audio.access")) == 4


async def _exported(store: Store, wanted: AuditFilter, audit_format: AuditFormat) -> bytes:
    await begin_export(store, UNA, wanted, audit_format)
    return b"".join([chunk async for chunk in export(store.reading, wanted, audit_format)])


async def test_export_is_whole_in_order_and_written_down(store: Store, monkeypatch):
    monkeypatch.setattr("app.services.audit_export._PAGE_ROWS", 2)
    await _record(store, "a", "b", "c", "d", "e")
    wanted = AuditFilter(action="preferences.change")
    lines = [json.loads(line) for line in (await _exported(store, wanted, AuditFormat.JSON_LINES)).splitlines()]
    assert [line["target_id"] for line in lines] == ["a", "b", "c", "d", "e"]
    assert lines[0]["user_id"] == str(UNA.user_id)
    everything = (await _exported(store, AuditFilter(text="una"), AuditFormat.JSON_LINES)).splitlines()
    assert [json.loads(line)["action"] for line in everything[-2:]] == ["audit.export", "audit.export"]
    [first, second] = await _actions(store, "audit.export")
    assert first.details == {"format": "jsonl", "action": "preferences.change"}
    assert second.details == {"format": "jsonl", "text": "una"}


async def test_export_has_no_formula_in_it(sqlite_store: Store):
    wicked = Principal('=HYPERLINK("//evil","x")', Role.ADMIN)
    async with sqlite_store.writing() as uow:
        audit.record(uow, wicked, "saved_view.save", target_type="@SUM(1)", target_id="+1", details={"name": "=1+1"})
    content = await _exported(sqlite_store, AuditFilter(), AuditFormat.CSV)
    [header, first, _] = csv.reader(io.StringIO(content.decode("utf-8-sig"), newline=""))
    row = dict(zip(header, first, strict=True))
    assert row["actor"] == '\'=HYPERLINK("//evil","x")'
    assert (row["target_type"], row["target_id"], row["details"]) == ("'@SUM(1)", "'+1", '{"name":"=1+1"}')
    assert uuid.UUID(row["id"])


async def test_of_an_empty_log_only_the_export_itself(sqlite_store: Store):
    nothing = [chunk async for chunk in export(sqlite_store.reading, AuditFilter(), AuditFormat.JSON_LINES)]
    assert nothing == []
    later = AuditFilter(created_after=utc_now() + timedelta(hours=1))
    assert len((await _exported(sqlite_store, later, AuditFormat.CSV)).splitlines()) == 1
