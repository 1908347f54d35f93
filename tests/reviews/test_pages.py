"""The pages of reviewing, as a browser without scripts gets them."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import select, update

from app.db.models import Batch, Review, ReviewDecision
from app.domain.genres import GENRE_IDS
from app.domain.permissions import Role
from app.domain.results import Window
from app.routes.portal.review_views import SEARCH_WORDS, Stretch, stretches_of
from tests.portal.conftest import nobody, progress, signed_in, una, web, web_store  # noqa: F401  its fixtures
from tests.support.factories import finish_job, make_job, make_principal, make_probabilities, make_result
from tests.support.review_showcase import review_some


@pytest.fixture
async def rita(signed_in):  # noqa: F811
    return await signed_in(Role.REVIEWER)


async def _doubtful(store, name="first.mp3", probability=0.4):
    job = await make_job(store, await make_principal(store), name)
    await finish_job(store, job.id, make_result("soft_rock", probability))
    return job


def _item(text: str) -> str:
    found = re.search(r'data-review="([\w-]+)"', text)
    assert found is not None
    return found[1]


async def test_only_reviewers_get_in(una, nobody):  # noqa: F811
    for path in ("/reviews", "/reviews/desk", "/reviews/figures"):
        assert (await una.get(path)).status_code == 403
        assert (await nobody.get(path)).status_code == 303
    assert (await una.post("/reviews/next")).status_code == 403
    assert 'href="/reviews"' not in (await una.get("/help")).text


async def test_the_desk_gives_one_item_after_another(web_store, rita):  # noqa: F811
    await _doubtful(web_store)
    await _doubtful(web_store, probability=0.5)
    assert "Review desk" in (await rita.get("/reviews/desk?order=genre&only_genre=opera")).text
    first = (await rita.post("/reviews/next")).text
    assert "2 waiting" in first
    for key in ("Enter", "1", "5", "0", "s", "u"):
        assert f'data-key="{key}"' in first
    assert len(re.findall('role="option"', first)) == 16
    second = (await rita.post(f"/reviews/{_item(first)}/decision", data={"genre": "opera", "note": " n\0ice "})).text
    assert _item(second) != _item(first)
    nothing = (await rita.post(f"/reviews/{_item(second)}/skip")).text
    assert "You have skipped one recording." in nothing
    assert _item((await rita.post("/reviews/skipped")).text) == _item(second)
    assert _item((await rita.post("/reviews/undo")).text) == _item(first)
    async with web_store.reading() as uow:
        decision = (await uow.session.scalars(select(ReviewDecision))).one()
    assert (decision.note, decision.genre) == ("nice", "opera")
    assert decision.withdrawn_at is not None


async def test_the_script_fetches_ahead_renews_and_releases(web_store, rita, signed_in):  # noqa: F811
    await _doubtful(web_store)
    later = await _doubtful(web_store, probability=0.5)
    page = (await rita.post("/reviews/next")).text
    ahead = (await rita.post("/reviews/ahead")).json()
    assert ahead["audio"] == f"/api/v1/jobs/{later.id}/audio"
    assert (await rita.post(f"/reviews/{_item(page)}/renew")).status_code == 204
    [lease] = re.findall(r'data-lease="([\w-]+)"', page)
    gone = await rita.post("/reviews/release", data={"leases": f"{lease} {ahead['lease_id']} nonsense"})
    assert gone.status_code == 204
    async with web_store.reading() as uow:
        assert await uow.session.scalar(select(Review.id).where(Review.lease_until.is_not(None))) is None
    omar = await signed_in(Role.ADMIN)
    assert _item((await omar.post("/reviews/next")).text) == _item(page)
    assert (await rita.post(f"/reviews/{_item(page)}/renew")).status_code == 409
    assert (await rita.post("/reviews/ahead", data={"only_genre": "opera"})).json() is None


@pytest.mark.parametrize(
    ("form", "status"),
    [({}, 400), ({"genre": ""}, 400), ({"genre": "polka"}, 400), ({"genre": "opera", "note": "x" * 1001}, 400)],
)
async def test_decisions_of_the_wrong_form(web_store, rita, form, status):  # noqa: F811
    await _doubtful(web_store)
    item = _item((await rita.post("/reviews/next")).text)
    assert (await rita.post(f"/reviews/{item}/decision", data=form)).status_code == status
    assert (
        _item((await rita.post("/reviews/next", data={"order": "?", "only_batch": "?", "only_genre": "?"})).text)
        == item
    )


async def test_the_overview_and_the_history_of_a_review(web_store, rita, signed_in):  # noqa: F811
    assert "Nothing waits for a decision." in (await rita.get("/reviews")).text
    await _doubtful(web_store)
    async with web_store.writing() as uow:
        uow.session.add(Batch(name="Spring <b>"))
        await uow.session.flush()
        await uow.session.execute(update(Review).values(batch_id=select(Batch.id).scalar_subquery()))
    overview = (await rita.get("/reviews")).text
    assert "Soft rock (1)" in overview
    assert "Spring &lt;b&gt;" in overview
    item = _item((await rita.post("/reviews/next")).text)
    waiting = (await rita.get(f"/reviews/{item}")).text
    assert "Nothing has been decided that you may see yet." in waiting
    assert "Decide otherwise" not in waiting
    await rita.post(f"/reviews/{item}/decision", data={"genre": "opera"})
    assert "Decide otherwise" in (await rita.get(f"/reviews/{item}")).text
    history = (await rita.post(f"/reviews/{item}/change", data={"genre": "none", "note": "<i>no</i>"})).text
    assert "taken back" in history
    assert "&lt;i&gt;no&lt;/i&gt;" in history
    assert f"/reviews/{item}" in (await rita.get("/reviews")).text
    omar = await signed_in(Role.ADMIN)
    assert "Decide otherwise" in (await omar.get(f"/reviews/{item}")).text
    assert (await rita.get("/reviews/00000000-0000-7000-8000-000000000000")).status_code == 404


async def test_the_batch_of_a_desk_is_named(web_store, rita):  # noqa: F811
    async with web_store.writing() as uow:
        batch = Batch(name="Spring")
        uow.session.add(batch)
        await uow.session.flush()
    assert "Spring" in (await rita.get(f"/reviews/desk?only_batch={batch.id}")).text
    assert (await rita.get("/reviews/desk?only_batch=00000000-0000-7000-8000-000000000000")).status_code == 404


async def test_the_arbiter_sees_what_the_others_said(web_store, signed_in):  # noqa: F811
    await review_some(web_store, 4, twice=4)
    async with web_store.writing() as uow:
        decided = (await uow.session.scalars(select(Review).order_by(Review.id))).first()
        await uow.session.execute(update(Review).where(Review.id == decided.id).values(state="disputed"))
        await uow.session.execute(update(ReviewDecision).values(note="listen to the bass"))
    ada = await signed_in(Role.ADMIN)
    assert "1 disputed" in (await ada.get("/reviews")).text
    page = (await ada.post("/reviews/next")).text
    assert "The reviewers disagree" in page
    assert page.count("listen to the bass") == 2


async def test_figures_without_and_with_decisions(web_store, rita):  # noqa: F811
    empty = (await rita.get("/reviews/figures")).text
    assert "Nobody has decided anything yet." in empty
    await review_some(web_store, 30, twice=10)
    text = (await rita.get("/reviews/figures")).text
    assert text.count('<svg class="chart') == 3
    assert text.count("<circle") == len(set(re.findall(r"<circle[^>]+>", text))) > 3
    assert "Fleiss" in text
    assert "Jonas Vik · Mira Sandoval" in text or "Mira Sandoval · Jonas Vik" in text
    for words in ("People agreed with", "percentage points apart", r"4\d in the last 24 hours"):
        assert re.search(words, text)


def test_genres_are_found_in_both_languages_and_as_they_are_spelt():
    assert set(SEARCH_WORDS) == set(GENRE_IDS)
    found = [genre for genre, words in SEARCH_WORDS.items() if "摇滚" in words]
    assert found == [genre for genre, words in SEARCH_WORDS.items() if "yaogun" in words]
    assert "soft_rock" in found
    assert all(words == words.lower() for words in SEARCH_WORDS.values())


def test_windows_are_told_one_by_one_until_they_are_many():
    few = [Window(n * 11.0, n * 11.0 + 11, make_probabilities("opera", 0.5)) for n in range(3)]
    assert stretches_of(few) == [Stretch(w.start_s, w.end_s, "opera", 0.5) for w in few]
    many = [
        Window(float(n), n + 1.0, make_probabilities("solo" if n < 5 else "opera", n / 20 + 0.3)) for n in range(20)
    ]
    first, second = stretches_of(many)
    assert (first.start_s, first.end_s, first.genre) == (0.0, 5.0, "solo")
    assert (second.start_s, second.end_s, second.genre) == (5.0, 20.0, "opera")
    assert first.probability == pytest.approx(0.4)
