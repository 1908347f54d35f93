"""The pages of batches, genres and comparisons, as a browser without scripts gets them."""

from __future__ import annotations

import pytest

from app.db.models import Batch
from app.domain.ids import new_id
from app.domain.keys import example_key
from app.domain.permissions import Role
from app.services.batches import create_batch
from app.services.jobs import JobFilter, list_jobs
from tests.support.factories import ADMIN, finish_job, make_job, make_principal, make_result
from tests.support.sounds import beats, encode

MP3 = encode(beats(1), 44_100, "mp3")


async def _batch(store, person_name="Una Uhl", *, private=False):
    principal = await make_principal(store, name=person_name)
    async with store.writing() as uow:
        return (await create_batch(uow, principal, "<b>Archive</b>", private=private)).id


async def test_batch_from_its_first_file_to_its_end(una, web_store):
    answer = await una.post("/batches", json={"name": "Spring 春"})
    address = answer.json()["address"]
    upload = await una.post(f"/uploads?batch_id={address[9:]}&analyse=full", files={"file": ("a.mp3", MP3)})
    assert (upload.status_code, upload.text) == (202, "")
    text = (await una.get(address)).text
    assert "Receiving recordings" in text
    assert "0 of 1 analysed" in text
    assert "Analysing" in (await una.post(f"{address}/close")).text
    async with web_store.reading() as uow:
        [job] = (await list_jobs(uow, ADMIN, JobFilter())).items
    assert job.scope == "full"
    await finish_job(web_store, job.id, make_result("opera", 0.9))
    panel = (await una.get(f"{address}/panel", part=True)).text
    assert "1 of 1 analysed" in panel
    assert "data-live" not in panel
    rows = (await una.get(f"{address}/rows?show=failed", part=True)).text
    assert "There are none." in rows
    assert "Spring 春" in (await una.get("/batches")).text


async def test_names_of_batches_are_text(una, web_store):
    batch_id = await _batch(web_store)
    for path in ("/batches", f"/batches/{batch_id}"):
        assert "<b>Archive" not in (await una.get(path)).text


@pytest.mark.parametrize(
    "body",
    [{"name": ""}, {"name": "x" * 201}, {"name": "a\0b"}, {"name": 7}, {}, [], {"name": "x", "private": "perhaps"}],
)
async def test_batches_need_a_proper_name(una, body):
    assert (await una.post("/batches", json=body)).status_code == 400


async def test_garbage_about_local_files(una, web_store):
    address = f"/batches/{await _batch(web_store, 'Una Uhl')}/known"
    good = {"name": "a.wav", "size_bytes": 1}
    for files in ([good] * 501, [{**good, "sha256": "xyz"}], [{**good, "size_bytes": -1}], [{}], "all"):
        assert (await una.post(address, json={"files": files})).status_code == 400
    answer = await una.post(address, json={"files": [good]})
    assert answer.json() == [{"arrival": "new", "address": None, "words": None}]


async def test_private_batches_are_hidden_and_others_can_not_be_changed(una, web_store):
    secret, public = await _batch(web_store, "Otto", private=True), await _batch(web_store, "Otto")
    assert (await una.get(f"/batches/{secret}")).status_code == 404
    assert (await una.get(f"/batches/{secret}/panel", part=True)).status_code == 404
    text = (await una.get(f"/batches/{public}")).text
    assert "uploader" not in text
    for action in ("close", "cancel", "retry"):
        assert (await una.post(f"/batches/{public}/{action}")).status_code == 403
    assert (await una.post(f"/uploads?batch_id={public}", files={"file": ("a.mp3", MP3)})).status_code == 403


async def test_show_more_batches(una, web_store):
    async with web_store.writing() as uow:
        uow.session.add_all([Batch(id=new_id(), name=f"batch {number}") for number in range(31)])
    text = (await una.get("/batches")).text
    assert text.count('class="name"') == 30
    more = text.split('hx-get="/batches?')[1].split('"')[0]
    rest = (await una.get(f"/batches?{more}", part=True)).text
    assert rest.count('class="name"') == 1
    assert "<html" not in rest


async def test_genre_guide_and_its_sounds(una, web):
    text = (await una.get("/genres")).text
    assert text.count("synthesised example") == 16
    assert "hx-post" not in text
    await web.state.parts.files.put_bytes(example_key("opera"), MP3)
    sound = await una.get("/genres/opera/example")
    assert (sound.status_code, sound.headers["content-type"], sound.content) == (200, "audio/mpeg", MP3)
    assert (await una.get("/genres/opera/example", range="bytes=0-9")).status_code == 206
    for path in ("/genres/solo/example", "/genres/polka/example", "/genres/polka/player"):
        assert (await una.get(path)).status_code == 404
    for path in ("/genres/opera/example/reset", f"/jobs/{new_id()}/example"):
        assert (await una.post(path)).status_code == 403


async def test_guide_offers_changes_to_reviewers(signed_in):
    reviewer = await signed_in(Role.REVIEWER)
    assert "Make it the example" in (await reviewer.get("/genres")).text
    assert (await reviewer.post(f"/jobs/{new_id()}/example")).status_code == 404


async def test_compare_needs_recordings(una, web_store):
    job = await make_job(web_store, await make_principal(web_store, name="Una Uhl"), "one.mp3")
    assert "one.mp3" in (await una.get(f"/compare?left={job.id}")).text
    assert "once both are analysed" in (await una.get(f"/compare?left={job.id}&right={job.id}")).text
    for query in ("", "left=x", f"left={new_id()}", f"left={job.id}&right={new_id()}"):
        assert (await una.get(f"/compare?{query}")).status_code == 404
