"""Finding recordings: by name, filter and order, page by page, and only those one may see."""

from __future__ import annotations

import uuid
from datetime import timedelta

import pytest
from sqlalchemy import func, select

from app.db.models import Asset, Job, SearchTerm
from app.db.repositories import search
from app.domain.genres import Tier
from app.domain.ids import utc_now
from app.domain.jobs import JobState
from app.domain.library import BulkAction, LibraryFilter, LibraryOrder, ReviewStatus
from app.domain.permissions import Role
from app.errors import Forbidden
from app.services import library
from app.services.batches import create_batch
from app.services.jobs import delete_job, get_job
from app.services.library import act, list_recordings
from tests.library.conftest import submit_to
from tests.support.factories import finish_job, make_job, make_principal, make_result


async def _found(store, principal, order=LibraryOrder.NEWEST, **wanted) -> list[uuid.UUID]:
    async with store.reading() as uow:
        page = await list_recordings(uow, principal, LibraryFilter(**wanted), order)
    return [entry.id for entry in page.items]


# --- search


async def test_search_over_names_and_tags(store, una, recordings):
    rock, opera, waiting = recordings.values()
    cases = {
        "gala": [rock],
        "ROCK 2019": [rock],
        "歌剧": [opera],
        "mp3": [waiting, opera, rock],
        "larks": [opera, rock],
        "gala opera": [],
        "%": [waiting, opera, rock],
    }
    for text, expected in cases.items():
        assert await _found(store, una, text=text) == expected, text


async def test_terms_follow_the_tags_and_go_with_the_recording(store, una):
    job = await make_job(store, una, "track.mp3")
    async with store.writing() as uow:
        asset = await uow.session.get_one(Asset, job.asset.id)
        asset.title = "Zephyr"
    assert await _found(store, una, text="zeph") == [job.id]
    async with store.writing() as uow:
        asset = await uow.session.get_one(Asset, job.asset.id)
        asset.title = None
    assert await _found(store, una, text="zeph") == []
    async with store.writing() as uow:
        await delete_job(uow, una, job.id)
    async with store.reading() as uow:
        assert await uow.session.scalar(select(func.count()).select_from(SearchTerm)) == 0


# --- filters


async def test_filters(store, una, recordings):
    rock, opera, waiting = recordings.values()
    cases: list[tuple[dict[str, object], list[uuid.UUID]]] = [
        ({"genre": "opera"}, [opera]),
        ({"tier": Tier.HIGH}, [rock]),
        ({"state": JobState.QUEUED}, [waiting]),
        ({"review": ReviewStatus.WAITING}, [opera]),
        ({"review": ReviewStatus.NONE, "state": JobState.DONE}, [rock]),
        ({"user_id": una.user_id, "genre": "opera"}, [opera]),
        ({"user_id": uuid.uuid4()}, []),
        ({"added_from": utc_now() - timedelta(hours=1)}, [waiting, opera, rock]),
        ({"added_before": utc_now() - timedelta(hours=1)}, []),
        ({"genre": "opera", "tier": Tier.HIGH}, []),
    ]
    for wanted, expected in cases:
        assert await _found(store, una, **wanted) == expected, wanted


async def test_what_people_have_decided_counts_more_than_the_model(store, una, recordings, monkeypatch):
    async with store.writing() as uow:
        job = await uow.session.get_one(Job, recordings["夏日歌剧"])
        job.label = "chamber"
    for rare in (2000, 0):  # looked up by the index, and walked through
        monkeypatch.setattr(search, "_RARE", rare)
        assert await _found(store, una, genre="opera") == []
        assert await _found(store, una, genre="chamber") == [recordings["夏日歌剧"]]


async def test_common_conditions_find_the_same_as_rare_ones(store, una, recordings, monkeypatch):
    cases = [
        {"text": "mp3"},
        {"text": "gala rock"},
        {"genre": "opera", "tier": Tier.LOW},
        {"review": ReviewStatus.WAITING, "text": "歌剧"},
        {"state": JobState.DONE, "user_id": una.user_id},
    ]
    rare = {str(case): await _found(store, una, order, **case) for case in cases for order in LibraryOrder}
    monkeypatch.setattr(search, "_RARE", 0)
    common = {str(case): await _found(store, una, order, **case) for case in cases for order in LibraryOrder}
    assert common == rare
    assert all(rare.values())


# --- order and pages


async def _page_by_page(store, principal, order: LibraryOrder) -> list[uuid.UUID]:
    seen: list[uuid.UUID] = []
    cursor: str | None = None
    while True:
        async with store.reading() as uow:
            page = await list_recordings(uow, principal, LibraryFilter(), order, cursor=cursor, limit=2)
        seen += [entry.id for entry in page.items]
        cursor = page.next_cursor
        if cursor is None:
            return seen


async def test_pages_show_everything_once_in_order(store, una):
    probabilities = [0.9, 0.4, 0.4, 0.7, 0.55]
    jobs = []
    for name, probability in zip(["b", "Ä", "c", "a", "b"], probabilities, strict=True):
        job = await make_job(store, una, name)
        await finish_job(store, job.id, make_result("opera", probability))
        async with store.writing() as uow:  # so that the file's name orders it
            (await uow.session.get_one(Asset, job.asset.id)).title = None
        jobs.append(job.id)
    expected = {
        LibraryOrder.NEWEST: [4, 3, 2, 1, 0],
        LibraryOrder.OLDEST: [0, 1, 2, 3, 4],
        LibraryOrder.LEAST_CERTAIN: [1, 2, 4, 3, 0],
        LibraryOrder.MOST_CERTAIN: [0, 3, 4, 2, 1],
        LibraryOrder.NAME: [1, 3, 0, 4, 2],
    }
    for order, places in expected.items():
        assert await _page_by_page(store, una, order) == [jobs[place] for place in places], order


async def test_a_cursor_that_is_none_shows_the_beginning(store, una, recordings):
    for cursor in ("", "x", "e30=", "WzEsMl0=", "bm9wZQ==", "WyJhIiwgIngiXQ=="):
        async with store.reading() as uow:
            page = await list_recordings(uow, una, LibraryFilter(), LibraryOrder.NAME, cursor=cursor)
        assert len(page.items) == len(recordings)


# --- who sees what


async def test_private_batches_are_seen_by_owner_and_admins(store, una):
    otto, ada = await make_principal(store, name="Otto"), await make_principal(store, Role.ADMIN, name="Ada")
    async with store.writing() as uow:
        batch = await create_batch(uow, una, "secret", private=True)
    job_id = await submit_to(store, una, batch.id)
    for text in ("", "batch"):
        assert await _found(store, una, text=text) == [job_id]
        assert await _found(store, ada, text=text) == [job_id]
        assert await _found(store, otto, text=text) == []


# --- several at once


async def test_delete_does_what_it_may_and_says_what_it_left(store, una, recordings):
    otto = await make_principal(store, Role.UPLOADER, name="Otto")
    own = await make_job(store, otto, "own.mp3")
    async with store.writing() as uow:
        outcome = await act(uow, otto, BulkAction.DELETE, [own.id, own.id, *recordings.values(), uuid.uuid4()])
    assert (outcome.done, outcome.skipped) == (1, 4)
    assert len(outcome.keys) == 2
    assert len(await _found(store, una)) == 3


async def test_analyse_again_keeps_what_people_decided(store, una, recordings, outside):
    opera = recordings["夏日歌剧"]
    async with store.writing() as uow:
        (await uow.session.get_one(Job, opera)).label = "chamber"
        outcome = await act(uow, una, BulkAction.REANALYSE, list(recordings.values()))
    assert (outcome.done, outcome.skipped) == (2, 1)  # the third still waits
    async with store.reading() as uow:
        job = await get_job(uow, una, opera)
    assert (job.state, job.result, job.label) == (JobState.QUEUED, None, "chamber")
    await finish_job(store, opera, make_result("opera", 0.95))
    assert await _found(store, una, genre="chamber", tier=Tier.HIGH) == [opera]


async def test_send_to_review_needs_a_reviewer(store, una, recordings):
    rock = recordings["2019_gala_rock"]
    async with store.writing() as uow:
        assert (await act(uow, una, BulkAction.REVIEW, [rock])).done == 1
    assert rock in await _found(store, una, review=ReviewStatus.WAITING)
    otto = await make_principal(store, Role.UPLOADER, name="Otto")
    with pytest.raises(Forbidden):
        async with store.writing() as uow:
            await act(uow, otto, BulkAction.REVIEW, [rock])


async def test_at_most_so_many_at_once(store, una, recordings, monkeypatch):
    monkeypatch.setattr(library, "BULK_LIMIT", 1)
    async with store.writing() as uow:
        outcome = await act(uow, una, BulkAction.DELETE, list(recordings.values()))
    assert (outcome.done, outcome.skipped) == (1, 0)
