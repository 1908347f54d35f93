"""Reviewing over the API, as a program does it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest

from app.db.uow import Store
from app.domain.permissions import Role
from app.routes.deps import parts_of_app
from app.settings import Settings
from tests.support.factories import finish_job, make_job, make_principal, make_result
from tests.support.web import assert_problem, make_key, program, web_application

UNKNOWN = "/api/v1/reviews/00000000-0000-7000-8000-000000000000"


@pytest.fixture
async def keys(tmp_path: Path, sqlite_dsn: str) -> AsyncIterator[dict[str, httpx.AsyncClient]]:
    """Programs by name: two reviewers and an uploader, and three results that wait."""
    async with AsyncExitStack() as stack:
        app = await stack.enter_async_context(
            web_application(Settings(data_dir=tmp_path / "data", database_url=sqlite_dsn))
        )
        parts = parts_of_app(app)
        await _fill(parts.store)
        yield {
            name: await stack.enter_async_context(program(app, await make_key(parts, role, name)))
            for name, role in (("one", Role.REVIEWER), ("two", Role.REVIEWER), ("uploader", Role.UPLOADER))
        }


async def _fill(store: Store) -> None:
    una = await make_principal(store)
    for number, genre in enumerate(("opera", "solo", "opera")):
        job = await make_job(store, una, f"{number}.mp3")
        await finish_job(store, job.id, make_result(genre, 0.3 + number / 100))


async def _claim(client: httpx.AsyncClient, **wish: str) -> dict:
    answer = await client.post("/api/v1/reviews/next", params=wish)
    assert answer.status_code == 200, answer.text
    return answer.json()["item"]


async def test_claim_decide_and_look(keys):
    one, two = keys["one"], keys["two"]
    first, other = await _claim(one), await _claim(two)
    assert first["review"]["id"] != other["review"]["id"]
    assert first["job"]["result"]["top1"]["genre"] == "opera"
    assert first["review"]["lease_until"]
    address = f"/api/v1/reviews/{first['review']['id']}"
    assert (await one.post(f"{address}/renew")).status_code == 204
    done = await one.post(f"{address}/decision", json={"genre": "chamber", "note": "no voices"})
    assert (done.status_code, done.json()["label"], done.json()["state"]) == (200, "chamber", "decided")
    seen = (await two.get(address)).json()
    assert [(d["reviewer"], d["genre"], d["note"]) for d in seen["decisions"]] == [("one", "chamber", "no voices")]
    job = (await two.get(f"/api/v1/jobs/{first['job']['id']}")).json()
    assert (job["label"], job["review"]) == ("chamber", None)
    waiting = (await two.get("/api/v1/reviews", params={"state": "open", "limit": 1})).json()
    assert len(waiting["items"]) == 1
    rest = (await two.get("/api/v1/reviews", params={"state": "open", "cursor": waiting["next_cursor"]})).json()
    assert len(rest["items"]) == 1
    assert rest["next_cursor"] is None


async def test_what_is_released_goes_to_others(keys):
    one, two = keys["one"], keys["two"]
    claimed = await _claim(one, genre="solo")
    assert await _claim(two, genre="solo", order="oldest") is None
    address = f"/api/v1/reviews/{claimed['review']['id']}"
    assert_problem(await two.post(f"{address}/release"), 404, "review_not_found")
    assert (await one.post(f"{address}/release")).status_code == 204
    assert (await _claim(two, genre="solo"))["review"]["id"] == claimed["review"]["id"]
    assert_problem(await one.post(f"{address}/renew"), 409, "review_taken")
    assert_problem(await one.post(f"{address}/decision", json={"genre": "solo"}), 409, "review_taken")


async def test_who_may_and_who_may_not(keys):
    uploader = keys["uploader"]
    for method, path in (("GET", "/api/v1/reviews"), ("GET", UNKNOWN), ("POST", "/api/v1/reviews/next")):
        assert_problem(await uploader.request(method, path), 403, "forbidden")
    assert_problem(await uploader.post(f"{UNKNOWN}/decision", json={"genre": "opera"}), 403, "forbidden")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"genre": "polka"}, "genre_unknown"),
        ({"genre": "opera", "note": "x" * 1001}, "validation_failed"),
        ({"note": "no genre at all"}, "validation_failed"),
        ({"genre": "opera", "notes": ""}, "validation_failed"),
        ({"genre": 4}, "validation_failed"),
    ],
)
async def test_decisions_of_the_wrong_form(keys, body, code):
    item = await _claim(keys["one"])
    answer = await keys["one"].post(f"/api/v1/reviews/{item['review']['id']}/decision", json=body)
    assert_problem(answer, 400, code)
    assert (await keys["one"].get(f"/api/v1/reviews/{item['review']['id']}")).json()["decisions"] == []


async def test_other_requests_of_the_wrong_form(keys):
    one = keys["one"]
    assert_problem(await one.get("/api/v1/reviews", params={"cursor": "x"}), 400, "cursor_invalid")
    assert_problem(await one.get("/api/v1/reviews", params={"state": "maybe"}), 400, "validation_failed")
    assert_problem(await one.post("/api/v1/reviews/next", params={"order": "loudest"}), 400, "validation_failed")
    assert_problem(await one.post("/api/v1/reviews/next", params={"batch_id": "x"}), 400, "validation_failed")
    assert (await one.post("/api/v1/reviews/next", params={"genre": "po\0lka"})).json() == {"item": None}
    assert_problem(await one.get(UNKNOWN), 404, "review_not_found")
    assert_problem(await one.post(f"{UNKNOWN}/decision", json={"genre": None}), 404, "review_not_found")
