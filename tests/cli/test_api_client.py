"""The client of `earmark batch`: what it repeats, and what it obeys."""

from __future__ import annotations

import httpx2
import pytest

from app.cli.api_client import ApiClient, OutOfReach


def _answers(*statuses: tuple[int, str]):
    left = iter(statuses)

    async def send() -> httpx2.Response:
        status, code = next(left)
        return httpx2.Response(status, json={"code": code, "detail": code}, headers={"Retry-After": "0"})

    return send


@pytest.fixture
async def client():
    async with ApiClient("http://127.0.0.1:1", "emk_x", connections=1, retries=1) as client:
        yield client


async def test_being_asked_to_wait_is_no_failure(client: ApiClient):
    busy = [(503, "queue_full")] * 5 + [(429, "rate_limited")] * 5
    assert (await client._patiently(_answers(*busy, (200, "")))).status_code == 200


async def test_an_outage_is_waited_for_as_often_as_was_wanted(client: ApiClient, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("app.cli.api_client._pause_s", lambda _: 0)
    assert (await client._patiently(_answers((503, "unavailable"), (200, "")))).status_code == 200
    with pytest.raises(OutOfReach):
        await client._patiently(_answers(*[(503, "unavailable")] * 2))
