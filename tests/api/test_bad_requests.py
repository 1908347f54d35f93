"""Requests that are wrong in form."""

from __future__ import annotations

import httpx
import pytest

from tests.support.web import assert_problem


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"state": "finished"}, "state"),
        ({"tier": "5"}, "tier"),
        ({"limit": "0"}, "limit"),
        ({"limit": "101"}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"review": "perhaps"}, "review"),
        ({"text": "x" * 201}, "text"),
    ],
)
async def test_a_wrong_limit_of_a_list_is_named(api: httpx.AsyncClient, params: dict, field: str):
    problem = assert_problem(await api.get("/api/v1/jobs", params=params), 400, "validation_failed")
    [error] = problem["errors"]
    assert (error["field"], error["source"]) == (field, "query")
    assert error["message"]


async def test_a_cursor_of_somebody_elses_making_is_refused(api: httpx.AsyncClient):
    assert_problem(await api.get("/api/v1/jobs", params={"cursor": "2"}), 400, "cursor_invalid")


async def test_a_body_where_none_is_expected_is_limited(api: httpx.AsyncClient):
    answer = await api.post(
        "/sign-in/backchannel-logout", content=bytes(2_000_000), headers={"content-type": "text/plain"}
    )
    assert answer.status_code in {404, 413}
