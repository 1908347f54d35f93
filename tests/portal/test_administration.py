"""Administration and dashboard: what admins change holds at once, everywhere, and is written down."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlencode

import pytest
from sqlalchemy import select, update

from app.db.models import Asset, AuditEntry, Job, User
from app.domain.failures import Failure, FailureCode
from app.domain.ids import utc_now
from app.domain.jobs import JobKind
from app.domain.permissions import Role
from app.domain.workers import WorkerState
from app.routes.portal.words import ACTIONS
from app.services.accounts import Identity, sign_in
from app.services.analyses import record_failure
from app.services.dashboard import percentile
from app.services.models import NewModel, register_model
from app.services.workers import report_worker
from tests.support.factories import claim, finish_job, make_job, make_principal, make_result
from tests.support.portal import activate_starter, open_session, person_at

SETTINGS = {
    "review_threshold_percent": "75",
    "upload_limit_mb": "1",
    "organisation": "北极星 <Media>",
    "footer": "",
    "reviews_per_item": "2",
    "spot_check_percent": "2.5",
}
PAGES = ("/admin/settings", "/admin/people", "/admin/models", "/admin/audit", "/admin/retention")


@pytest.fixture
async def ada(signed_in):
    return await signed_in(Role.ADMIN)


async def _audit(store, action: str) -> list[AuditEntry]:
    async with store.reading() as uow:
        query = select(AuditEntry).where(AuditEntry.action == action).order_by(AuditEntry.id)
        return list((await uow.session.scalars(query)).all())


# --- who gets in


async def test_only_admins_get_in(signed_in, ada):
    reviewer = await signed_in(Role.REVIEWER)
    assert 'href="/admin"' not in (await reviewer.get("/help")).text
    assert 'href="/admin"' in (await ada.get("/help")).text
    for path in PAGES:
        assert (await reviewer.get(path)).status_code == 403
        assert (await ada.get(path)).status_code == 200
    assert (await reviewer.post("/admin/settings", data=SETTINGS)).status_code == 403
    assert (await ada.get("/admin")).headers["location"] == "/admin/settings"


# --- settings


async def test_settings_hold_at_once_on_every_page(ada, una, nobody, web_store):
    job = await make_job(web_store, await make_principal(web_store))
    assert "Internal tool · for staff only" in (await una.get("/help")).text
    assert "内部工具 · 仅限公司员工使用" in (await una.get("/help", **{"accept-language": "zh"})).text
    assert "Saved" in (await ada.post("/admin/settings", data=SETTINGS)).text
    for person, path in ((una, "/library"), (una, f"/jobs/{job.id}"), (una, "/nowhere"), (nobody, "/sign-in")):
        text = (await person.get(path)).text
        assert "for staff of 北极星 &lt;Media&gt; only" in text, path
    assert "仅限北极星 &lt;Media&gt;员工使用" in (await una.get("/help", **{"accept-language": "zh"})).text
    assert "75%" in (await una.get("/help")).text
    refused = await una.post("/uploads", files={"file": ("a.flac", b"fLaC" + bytes(1_100_000))})
    assert (refused.status_code, "limit of 1 MB" in refused.text) == (413, True)
    await ada.post("/admin/settings", data=SETTINGS | {"footer": "Nur für uns"})
    assert "Nur für uns" in (await una.get("/help")).text
    changes = {entry.target_id: entry.details for entry in await _audit(web_store, "preferences.change")}
    assert changes["review_threshold"] == {"from": 0.6, "to": 0.75}
    assert changes["footer"] == {"from": "", "to": "Nur für uns"}


async def test_the_threshold_decides_about_the_next_result(ada, web_store):
    await ada.post("/admin/settings", data=SETTINGS)
    job = await make_job(web_store, await make_principal(web_store))
    await finish_job(web_store, job.id, make_result("opera", 0.7))
    assert str(job.id) in (await ada.get("/library?review=waiting")).text


async def test_wrong_settings_are_refused_whole(ada, web_store):
    for name, value in (
        ("review_threshold_percent", "101"),
        ("review_threshold_percent", ""),
        ("review_threshold_percent", "nan"),
        ("upload_limit_mb", "0"),
        ("reviews_per_item", "9"),
        ("reviews_per_item", "inf"),
        ("organisation", "x" * 121),
    ):
        answer = await ada.post("/admin/settings", data=SETTINGS | {name: value})
        assert (answer.status_code, 'class="toast"' in answer.text) == (400, True), (name, value)
    assert await _audit(web_store, "preferences.change") == []


# --- retention

RETENTION = {"audio_days": "30", "results_days": "", "cold_days": "0", "audit_days": "365", "keep_reviewed": "1"}


async def test_retention_is_tried_out_before_it_is_saved(ada, una, web_store):
    job = await make_job(web_store, await make_principal(web_store))
    await finish_job(web_store, job.id)
    async with web_store.writing() as uow:
        await uow.session.execute(update(Job).values(finished_at=utc_now() - timedelta(days=31)))
    assert "Nothing is over its time." in (await ada.get("/admin/retention")).text
    preview = (await ada.get(f"/admin/retention/panel?{urlencode(RETENTION)}", part=True)).text
    assert "Would delete the audio of recordings: 1 (1.2 kB)" in preview
    assert "Nothing is over its time." in (await ada.get("/admin/retention")).text
    assert "Saved" in (await ada.post("/admin/retention", data=RETENTION)).text
    assert "Would delete the audio of recordings: 1 (1.2 kB)" in (await ada.get("/admin/retention")).text
    await ada.post("/admin/settings", data=SETTINGS)
    [entry] = [entry for entry in await _audit(web_store, "preferences.change") if entry.target_id == "retention"]
    assert entry.details == {
        "from": {"audio_days": 0, "audit_days": 0},
        "to": {"audio_days": 30, "audit_days": 365},
    }
    assert "audio_days 30, audit_days 365" in (await ada.get("/admin/audit")).text
    assert 'name="audio_days" min="0" max="36500" step="1" value="30"' in (await ada.get("/admin/retention")).text
    assert (await una.post("/admin/retention", data=RETENTION)).status_code == 403
    assert (await una.get(f"/admin/retention/panel?{urlencode(RETENTION)}")).status_code == 403


async def test_wrong_retention_is_refused_whole(ada, web_store):
    for name, value in (("audio_days", "-1"), ("audio_days", "x"), ("results_days", "40000"), ("audit_days", "29")):
        wrong = RETENTION | {name: value}
        assert (await ada.post("/admin/retention", data=wrong)).status_code == 400, (name, value)
        assert (await ada.get(f"/admin/retention/panel?{urlencode(wrong)}")).status_code == 400, (name, value)
    assert (await ada.post("/admin/retention", data={"audio_days": "1"})).status_code == 400
    assert await _audit(web_store, "preferences.change") == []


async def test_a_recording_whose_audio_is_gone_says_so(una, web_store):
    job = await make_job(web_store, await make_principal(web_store))
    await finish_job(web_store, job.id)
    assert "<audio" in (await una.get(f"/jobs/{job.id}")).text
    async with web_store.writing() as uow:
        await uow.session.execute(update(Asset).values(storage_key=None))
    text = (await una.get(f"/jobs/{job.id}")).text
    assert "is no longer kept" in text
    assert "<audio" not in text


# --- people


async def _user(store, name: str) -> User:
    async with store.reading() as uow:
        return (await uow.session.scalars(select(User).where(User.name == name))).one()


async def test_a_given_role_counts_at_once_and_outlives_the_next_sign_in(web, web_store, ada):
    otto = person_at(web, await open_session(web_store, Role.VIEWER, "Otto"))
    user = await _user(web_store, "Otto")
    assert (await otto.get("/admin/people")).status_code == 403
    await ada.post(f"/admin/people/{user.id}/role", data={"role": "admin"})
    assert (await otto.get("/admin/people")).status_code == 200
    identity = Identity(issuer=user.issuer, subject=user.subject, name="Otto", email=None, role=Role.VIEWER)
    async with web_store.writing() as uow:
        await sign_in(uow, identity, lifetime=timedelta(hours=1))
    assert (await _user(web_store, "Otto")).role is Role.ADMIN
    await ada.post(f"/admin/people/{user.id}/role", data={"role": ""})
    async with web_store.writing() as uow:
        await sign_in(uow, identity, lifetime=timedelta(hours=1))
    assert (await _user(web_store, "Otto")).role is Role.VIEWER
    assert [entry.details["to"] for entry in await _audit(web_store, "user.role")] == ["admin", None]
    await otto.http.aclose()


async def test_sign_out_everywhere(ada, una, web_store):
    async with web_store.reading() as uow:
        user = (await uow.session.scalars(select(User).where(User.role == Role.UPLOADER))).one()
    assert (await una.get("/help")).status_code == 200
    assert "Sign out of 1 browser" in (await ada.get("/admin/people?text=una")).text
    await ada.post(f"/admin/people/{user.id}/sign-out")
    assert (await una.get("/help")).status_code == 303
    [entry] = await _audit(web_store, "user.sign_out")
    assert (entry.target_id, entry.details["sessions"]) == (str(user.id), 1)


async def test_nobody_shuts_themselves_out(ada, web_store):
    async with web_store.reading() as uow:
        user = (await uow.session.scalars(select(User).where(User.role == Role.ADMIN))).one()
    for role in ("viewer", ""):
        assert (await ada.post(f"/admin/people/{user.id}/role", data={"role": role})).status_code == 409
    assert (await ada.post(f"/admin/people/{user.id}/role", data={"role": "king"})).status_code == 400
    assert (await ada.post("/admin/people/01a1fc6c-294c-70ab-895a-f266f834db3e/sign-out")).status_code == 404


# --- API keys


async def test_a_key_is_shown_once_works_and_is_revoked(una, ada, web_store):
    made = await una.post("/api-keys", data={"name": "importer", "role": "viewer", "days": "30", "scope": "jobs:read"})
    [key] = re.findall(r"<code>(e\w*_[\w-]{20,})</code>", made.text)
    assert key not in (await una.get("/api-keys")).text
    use = {"authorization": f"Bearer {key}"}
    assert (await una.http.get("/api/v1/jobs", headers=use)).status_code == 200
    assert (await una.http.get("/api/v1/models", headers=use)).status_code == 403
    page = (await ada.get("/api-keys")).text
    assert "importer" in page
    [key_id] = re.findall(r"/api-keys/([\w-]+)/revoke", page)
    await ada.post(f"/api-keys/{key_id}/revoke")
    assert (await una.http.get("/api/v1/jobs", headers=use)).status_code == 401
    assert len(await _audit(web_store, "api_key.create")) == len(await _audit(web_store, "api_key.revoke")) == 1


async def test_keys_give_no_more_than_their_maker_has(una, signed_in):
    assert (await una.post("/api-keys", data={"name": "x", "role": "admin", "days": ""})).status_code == 403
    for wrong in ({"name": ""}, {"role": "king"}, {"days": "0"}, {"days": "-1"}, {"days": "x"}, {"scope": "all"}):
        data = {"name": "x", "role": "viewer", "days": "30"} | wrong
        assert (await una.post("/api-keys", data=data)).status_code == 400, wrong
    viewer = await signed_in(Role.VIEWER)
    assert (await viewer.get("/api-keys")).status_code == 200
    assert (await viewer.post("/api-keys", data={"name": "x", "role": "viewer"})).status_code == 403


# --- models


async def test_activate_shadow_and_roll_back(ada, web_store):
    await activate_starter(web_store)
    async with web_store.writing() as uow:
        card = {"metrics": {"accuracy": 0.8127}, "labels": ["<b>"]}
        new = NewModel(kind=JobKind.GENRE, name="music", version="2", sha256="6" * 64, starter=False, card=card)
        model = await register_model(uow, new)
    page = (await ada.get("/admin/models")).text
    assert "0.813" in page
    assert "&lt;b&gt;" in page
    assert (await ada.post(f"/admin/models/{model.id}/shadow", data={"share_percent": "0"})).status_code == 400
    await ada.post(f"/admin/models/{model.id}/shadow", data={"share_percent": "25"})
    assert "In the shadow: 25%" in (await ada.get("/admin/models")).text
    await ada.post("/admin/models/shadow/stop")
    await ada.post(f"/admin/models/{model.id}/activate")
    assert "Starter model." not in (await ada.get("/help")).text
    await ada.post("/admin/models/roll-back")
    assert "Starter model." in (await ada.get("/help")).text
    assert len(await _audit(web_store, "model.roll_back")) == 1


# --- the log


async def test_log_is_searched_by_person_target_and_action(ada, web_store, monkeypatch):
    monkeypatch.setattr("app.routes.portal.audit._PAGE_LENGTH", 3)
    await ada.post("/admin/settings", data=SETTINGS)
    [entry, *_] = await _audit(web_store, "preferences.change")
    assert "Setting changed" in (await ada.get("/admin/audit")).text
    assert "Nothing in the log fits this." in (await ada.get("/admin/audit?text=Otto")).text
    assert "Nothing in the log fits this." in (await ada.get("/admin/audit?action=user.role")).text
    found = (await ada.get(f"/admin/audit?text={entry.actor[:3].upper()}")).text
    assert "review_threshold" in found or "Show more" in found
    more = re.search(r'hx-get="(/admin/audit\?[^"]+)"', found)
    assert more is not None
    assert "<html" not in (await ada.get(more[1].replace("&amp;", "&"), part=True)).text
    job = await make_job(web_store, await make_principal(web_store, Role.UPLOADER))
    await ada.post("/library/actions/delete", data={"job": str(job.id)})
    assert "Recording deleted" in (await ada.get(f"/admin/audit?text={job.id}")).text


async def test_what_the_search_finds_is_taken_out_of_the_log(ada, una):
    await ada.post("/admin/settings", data=SETTINGS)
    page = (await ada.get("/admin/audit?action=preferences.change")).text
    [csv_address] = re.findall(r'href="(/admin/audit/export/csv\?[^"]*)"', page)
    exported = await ada.get(csv_address.replace("&amp;", "&"))
    assert exported.headers["content-disposition"].startswith("attachment")
    lines = exported.text.splitlines()
    assert len(lines) == 6
    assert all("preferences.change" in line for line in lines[1:])
    assert "Audit log exported" in (await ada.get("/admin/audit")).text
    assert (await ada.get("/admin/audit/export/exe")).status_code == 404
    assert (await una.get("/admin/audit/export/csv")).status_code == 403


def test_every_action_has_words():
    services = Path(__file__).parents[2] / "app" / "services"
    pattern = re.compile(r'(?:record|_note)\((?:[^()]|\([^()]*\))*?"([a-z_]+\.[a-z_]+)"', re.DOTALL)
    said = {action for path in services.glob("*.py") for action in pattern.findall(path.read_text())}
    assert len(said) > 10
    assert said - set(ACTIONS) == set()


# --- the dashboard


async def test_dashboard_counts(una, web_store):
    principal = await make_principal(web_store)
    jobs = [await make_job(web_store, principal) for _ in range(5)]
    await finish_job(web_store, jobs[0].id, make_result("opera", 0.3))
    await finish_job(web_store, jobs[1].id)
    async with web_store.writing() as uow:
        taken = await claim(uow, jobs[2].id)
    async with web_store.writing() as uow:
        await record_failure(uow, taken, Failure(FailureCode.AUDIO_EMPTY))
        await report_worker(uow, taken.worker_id, WorkerState.READY)
        two_seconds_ago = utc_now() - timedelta(seconds=2)
        await uow.session.execute(update(Job).where(Job.id == jobs[1].id).values(created_at=two_seconds_ago))
    text = (await una.get("/dashboard")).text
    figures = dict(re.findall(r'id="figure-(\w+)">([^<]*)<', text))
    assert figures | {"median": "0"} == {
        "uploads": "5", "queued": "2", "workers": "1", "throughput": "2", "median": "0", "reviews": "50%"
    }  # fmt: skip
    assert "There is no audio in the file" in text
    part = await una.get("/dashboard", part=True)
    assert "<html" not in part.text
    assert 'id="hours-rows"' in part.text


async def test_empty_dashboard(una):
    text = (await una.get("/dashboard", **{"accept-language": "zh"})).text
    assert "自" in text
    assert text.count("–") >= 2


def test_percentile_is_a_value_that_was_there():
    assert percentile([], 0.5) is None
    assert percentile([4.0], 0.95) == 4
    assert percentile([1.0, 2.0, 3.0, 4.0], 0.5) == 2
    assert percentile([float(value) for value in range(1, 101)], 0.95) == 95
