"""The pages, as a browser without scripts gets them."""

from __future__ import annotations

import re

from app.domain.failures import Failure, FailureCode
from app.domain.ids import new_id
from app.domain.jobs import JobState
from app.domain.keys import spectrogram_key
from app.domain.permissions import Role
from app.domain.workers import WorkerState
from app.services.accounts import session_of
from app.services.analyses import record_failure
from app.services.jobs import cancel_job, get_job
from app.services.workers import report_worker
from tests.support.factories import ADMIN, claim, finish_job, make_job, make_principal, make_result
from tests.support.portal import (
    SESSION_COOKIE,
    activate_starter,
    new_app,
    open_session,
    person_at,
    portal_settings,
    running,
)
from tests.support.sounds import beats, encode


async def _principal(store, person):
    async with store.reading() as uow:
        signed_in = await session_of(uow, person.http.cookies[SESSION_COOKIE])
    assert signed_in is not None
    return signed_in.principal


async def _fail(store, job_id, failure):
    async with store.writing() as uow:
        taken = await claim(uow, job_id)
    async with store.writing() as uow:
        await record_failure(uow, taken, failure)


# --- who gets in


async def test_strangers_are_sent_to_sign_in_and_back(nobody):
    answer = await nobody.get("/library?tier=low")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in?next=%2Flibrary%3Ftier%3Dlow")
    part = await nobody.get("/notices", part=True)
    assert (part.status_code, part.headers["hx-redirect"]) == (401, "/sign-in")


async def test_sign_in_page_says_how_to_get_the_link(nobody):
    text = (await nobody.get("/sign-in")).text
    assert "earmark sign-in-link" in text
    assert "Recordings" not in text


async def test_sign_in_page_leads_to_the_company_account(tmp_path):
    settings = portal_settings(tmp_path / "data", oidc_issuer="https://login.test", public_url="http://127.0.0.1:8080")
    app = await new_app(settings)
    async with running(app):
        person = person_at(app, None)
        text = (await person.get("/sign-in?next=/library%3Ftier%3Dlow")).text
        await person.http.aclose()
    assert 'href="/sign-in/start?next=/library%3Ftier%3Dlow"' in text
    assert "sign-in-link" not in text


async def test_viewers_may_look_but_not_upload(signed_in, web_store):
    viewer = await signed_in(Role.VIEWER)
    job = await make_job(web_store, await make_principal(web_store))
    home = (await viewer.get("/")).text
    assert "not upload any" in home
    assert 'id="uploader"' not in home
    assert "hx-post" not in (await viewer.get(f"/jobs/{job.id}")).text
    assert (await viewer.post(f"/jobs/{job.id}/cancel")).status_code == 403


# --- the frame


async def test_language_by_browser_and_by_switch(una):
    assert '<html lang="zh-Hans"' in (await una.get("/", **{"accept-language": "zh-CN"})).text
    answer = await una.get("/language/zh?next=/library%3Ftier%3Dlow")
    assert (answer.status_code, answer.headers["location"]) == (303, "/library?tier=low")
    page = await una.get("/library", **{"accept-language": "en"})
    assert "录音" in page.text
    assert "Cookie" in page.headers["vary"]


async def test_language_switch_leads_nowhere_else(una):
    assert (await una.get("/language/en?next=//elsewhere.test/")).headers["location"] == "/"
    assert (await una.get("/language/xx")).status_code == 404


async def test_theme_comes_from_the_cookie(una):
    una.http.cookies.set("earmark_theme", "dark")
    assert 'data-theme="dark"' in (await una.get("/")).text
    una.http.cookies.set("earmark_theme", "<script>")
    assert 'data-theme="auto"' in (await una.get("/")).text


async def test_every_page_says_what_hinders_a_worker(una, web_store):
    async with web_store.writing() as uow:
        await report_worker(uow, new_id(), WorkerState.READY, message="genres/2 is damaged")
    page = (await una.get("/library")).text
    assert "A worker needs attention." in page
    assert "genres/2 is damaged" in page
    assert "Nothing is being analysed right now." not in page


async def test_every_page_says_that_nobody_works(una, web_store):
    for path in ("/", "/library", "/help"):
        assert "Nothing is being analysed right now." in (await una.get(path)).text
    worker_id = new_id()
    async with web_store.writing() as uow:
        await report_worker(uow, worker_id, WorkerState.FAILED, message="model.safetensors is damaged")
    assert "model.safetensors is damaged" in (await una.get("/notices", part=True)).text
    async with web_store.writing() as uow:
        await report_worker(uow, worker_id, WorkerState.STARTING)
    assert "starting up" in (await una.get("/notices", part=True)).text
    async with web_store.writing() as uow:
        await report_worker(uow, worker_id, WorkerState.READY)
    assert 'class="notice' not in (await una.get("/notices", part=True)).text


async def test_every_page_names_the_starter(una, web_store):
    await activate_starter(web_store)
    for path in ("/", "/library", "/help"):
        assert "Starter model." in (await una.get(path)).text


# --- one recording


async def test_names_are_text_and_never_markup(una, web_store):
    job = await make_job(web_store, await _principal(web_store, una), '<img src=x onerror="alert(1)">.mp3')
    for path in ("/", "/library", f"/jobs/{job.id}"):
        text = (await una.get(path)).text
        assert "<img src=x" not in text
        assert "&lt;img src=x" in text


async def test_finished_recording_shows_all_that_is_known(una, web_store):
    job = await make_job(web_store, await _principal(web_store, una))
    await finish_job(web_store, job.id, make_result("soft_rock", 0.9))
    text = (await una.get(f"/jobs/{job.id}")).text
    for words in ("Morning", "The Larks", "90.0%", "High confidence", "starter", "0:11–0:23", "44.1 kHz, 2 channels"):
        assert words in text
    assert text.count('<th scope="row">') >= 16
    assert "data-live" not in text


async def test_low_confidence_brings_the_hint(una, web_store):
    job = await make_job(web_store, await _principal(web_store, una))
    await finish_job(web_store, job.id, make_result("soft_rock", 0.4))
    text = (await una.get(f"/jobs/{job.id}")).text
    assert "mix several styles" in text
    assert "A person should check this" in text


async def test_silence_is_called_silence(una, web_store):
    job = await make_job(web_store, await _principal(web_store, una))
    await finish_job(web_store, job.id, make_result("soft_rock", 0.9, audible=False))
    assert "No audible signal" in (await una.get(f"/jobs/{job.id}")).text


async def test_failures_are_told_in_the_readers_language(una, web_store):
    job = await make_job(web_store, await _principal(web_store, una))
    await _fail(web_store, job.id, Failure(FailureCode.AUDIO_TOO_SHORT, {"duration_s": 0.2, "minimum_s": 0.5}))
    for path in (f"/jobs/{job.id}", "/library"):
        assert "lasts 0.2 s. At least 0.5 s" in (await una.get(path)).text
        assert "录音只有 0.2 秒，至少需要 0.5 秒" in (await una.get(path, **{"accept-language": "zh"})).text
    text = (await una.get(f"/jobs/{job.id}")).text
    assert "Upload again" in text
    assert "/retry" not in text


async def test_waiting_recording_is_live(una, web_store):
    job = await make_job(web_store, await _principal(web_store, una))
    for path in (f"/jobs/{job.id}", f"/jobs/{job.id}/panel", f"/jobs/{job.id}/row", "/library"):
        assert f'data-live="{job.id}"' in (await una.get(path)).text


async def test_cancel_retry_and_delete(una, web, web_store):
    job = await make_job(web_store, await _principal(web_store, una))
    cancelled = await una.post(f"/jobs/{job.id}/cancel")
    assert "This analysis was cancelled" in cancelled.text
    again = await una.post(f"/jobs/{job.id}/retry")
    assert "Waiting for its turn" in again.text
    await finish_job(web_store, job.id)
    files = web.state.parts.files
    await files.put_bytes(spectrogram_key(job.id), b"png")
    gone = await una.post(f"/jobs/{job.id}/delete")
    assert (gone.status_code, gone.headers["hx-redirect"]) == (200, "/library")
    assert [page async for page in files.keys_older_than("spectrograms", job.created_at.replace(year=9999))] == []
    row = await una.get(f"/jobs/{job.id}/row", part=True)
    assert (row.status_code, row.text) == (200, "")


async def test_what_is_no_longer_possible_is_said_in_a_message(una, web_store):
    principal = await _principal(web_store, una)
    job = await make_job(web_store, principal)
    async with web_store.writing() as uow:
        await cancel_job(uow, principal, job.id)
    answer = await una.post(f"/jobs/{job.id}/cancel")
    assert answer.status_code == 409
    assert 'class="toast"' in answer.text
    assert "<html" not in answer.text


async def test_other_peoples_recordings_offer_no_changes(una, web_store):
    job = await make_job(web_store, await make_principal(web_store, name="Otto"))
    assert "hx-post" not in (await una.get(f"/jobs/{job.id}")).text
    assert (await una.post(f"/jobs/{job.id}/delete")).status_code == 403


async def test_a_changing_request_without_its_token_changes_nothing(una, web_store):
    job = await make_job(web_store, await _principal(web_store, una))
    answer = await una.http.post(f"/jobs/{job.id}/delete", headers={"accept": "text/html"})
    assert answer.status_code == 403
    async with web_store.reading() as uow:
        assert (await get_job(uow, ADMIN, job.id)).state is JobState.QUEUED


async def test_unknown_recording_is_a_page(una):
    answer = await una.get(f"/jobs/{new_id()}")
    assert answer.status_code == 404
    assert "No such job" in answer.text
    assert "没有这个任务" in (await una.get(f"/jobs/{new_id()}", **{"accept-language": "zh"})).text


async def test_unexpected_error_is_a_page_with_its_number(una, monkeypatch):
    async def broken(*_, **__):
        raise RuntimeError("secret detail")

    monkeypatch.setattr("app.services.library.list_recordings", broken)
    answer = await una.get("/library")
    assert answer.status_code == 500
    assert re.search(r"it is in the log: <code>[0-9a-f]{12}</code>", answer.text)
    assert "secret detail" not in answer.text


# --- upload


async def test_upload_answers_the_row(una):
    content = encode(beats(1), 44_100, "mp3")
    answer = await una.post("/uploads", files={"file": ("Brücke 桥.mp3", content)})
    assert answer.status_code == 202
    assert "Brücke 桥.mp3" in answer.text
    assert "data-live" in answer.text


async def test_refused_uploads_say_why(una):
    for content, status, words in (
        (b"", 400, "The file has no content."),
        (b"MZ not audio at all", 415, "is not MP3, WAV"),
        (b"fLaC" + bytes(2_100_000), 413, "larger than the limit of 2 MB"),
    ):
        answer = await una.post("/uploads", files={"file": ("track.mp3", content)})
        assert answer.status_code == status
        assert words in answer.text
    assert "No recordings yet" in (await una.get("/library")).text


async def test_expired_session_does_not_swallow_an_upload(web, web_store):
    person = person_at(web, await open_session(web_store))
    token = await person.token()
    person.http.cookies.clear()
    answer = await person.http.post(
        "/uploads", files={"file": ("a.mp3", b"fLaC")}, headers={"hx-request": "true", "x-csrf-token": token}
    )
    assert answer.status_code == 401
    await person.http.aclose()
