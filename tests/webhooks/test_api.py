"""Webhooks and the feed over the API."""

from __future__ import annotations

import asyncio
import uuid
from datetime import timedelta

import pytest

from app.domain.api_keys import NewApiKey
from app.domain.ids import utc_now
from app.domain.permissions import Permission, Role
from app.domain.webhooks import ENDPOINTS_PER_OWNER
from app.services.api_keys import create_api_key
from tests.support.factories import finish_job, make_job, make_principal
from tests.support.portal import LocalProgress, new_app, portal_settings, running, use_local_progress
from tests.support.web import assert_problem, program

URL = "http://127.0.0.1:9/hook"


@pytest.fixture
async def web(tmp_path):
    app = await new_app(portal_settings(tmp_path / "data", intranet_hosts="127.0.0.1"))
    async with running(app):
        yield app


@pytest.fixture
def web_store(web):
    return use_local_progress(web, LocalProgress())


@pytest.fixture
async def client_of(web, web_store):
    """Programs with keys of a role or with scopes."""
    clients = []

    async def open_client(role=Role.UPLOADER, scopes=None):
        name = f"program {len(clients)}"
        async with web_store.writing() as uow:
            made = await create_api_key(uow, NewApiKey(name=name, role=role, scopes=scopes))
        clients.append(program(web, made.key))
        return clients[-1]

    yield open_client
    for client in clients:
        await client.aclose()


async def test_an_endpoint_from_birth_to_death(client_of):
    client = await client_of()
    made = await client.post("/api/v1/webhooks", json={"url": URL, "event_types": ["job.done"]})
    assert made.status_code == 201
    address, secret = made.headers["location"], made.json()["secret"]
    assert secret.startswith("whsec_")
    seen = (await client.get(address)).json()
    assert "secret" not in seen
    assert (seen["url"], seen["event_types"], seen["enabled"]) == (URL, ["job.done"], True)
    assert (await client.get("/api/v1/webhooks")).json()["items"] == [seen]
    changed = await client.patch(address, json={"enabled": False, "description": "old"})
    assert (changed.json()["enabled"], changed.json()["disabled_reason"]) == (False, "by_owner")
    assert changed.json()["url"] == URL
    assert_problem(await client.post(f"{address}/test"), 409, "webhook_disabled")
    await client.patch(address, json={"enabled": True})
    rotated = (await client.post(f"{address}/secret", json={})).json()
    assert rotated["secret"] not in (secret, None)
    assert rotated["endpoint"]["previous_secret_until"] is not None
    assert (await client.delete(address)).status_code == 204
    assert_problem(await client.get(address), 404, "webhook_not_found")


async def test_a_test_event_its_log_and_sending_again(client_of):
    client = await client_of()
    address = (await client.post("/api/v1/webhooks", json={"url": URL})).headers["location"]
    tested = await client.post(f"{address}/test")
    assert tested.status_code == 202
    delivery = (await client.get(tested.headers["location"])).json()
    assert (delivery["state"], delivery["event_type"], delivery["log"]) == ("pending", "webhook.test", [])
    page = (await client.get(f"{address}/deliveries", params={"state": "pending", "limit": 1})).json()
    assert [item["id"] for item in page["items"]] == [delivery["id"]]
    assert (await client.get(f"{address}/deliveries", params={"state": "failed"})).json()["items"] == []
    again = await client.post(f"{tested.headers['location']}/redeliver")
    assert (again.status_code, again.json()["id"]) == (202, delivery["id"])
    since = {"since": (utc_now() - timedelta(hours=1)).isoformat()}
    assert (await client.post(f"{address}/redeliver", json=since)).json() == {"count": 0}
    missing = f"{address}/deliveries/{uuid.uuid4()}"
    assert_problem(await client.get(missing), 404, "delivery_not_found")
    assert_problem(await client.post(f"{missing}/redeliver"), 404, "delivery_not_found")


async def test_repeating_a_creation_creates_once_and_shows_the_secret_once(client_of):
    client = await client_of()
    headers = {"idempotency-key": "first"}
    first, second = [await client.post("/api/v1/webhooks", json={"url": URL}, headers=headers) for _ in range(2)]
    assert first.json()["endpoint"] == second.json()["endpoint"]
    assert (first.json()["secret"] is None, second.json()["secret"]) == (False, None)


async def test_what_is_refused(client_of):
    client = await client_of()
    for body, code in (
        ({"url": "https://10.0.0.1/"}, "address_refused"),
        ({"url": "https://[::1]/"}, "address_refused"),
        ({"url": "https://user:word@example.com/"}, "url_refused"),
        ({"url": "ftp://example.com/"}, "url_refused"),
        ({"url": URL, "event_types": ["job.created"]}, "event_type_unknown"),
        ({"url": URL, "event_types": ["job.eaten"]}, "validation_failed"),
        ({"url": URL, "description": "x" * 201}, "validation_failed"),
        ({"url": URL, "secret": "mine"}, "validation_failed"),
        ({}, "validation_failed"),
    ):
        assert_problem(await client.post("/api/v1/webhooks", json=body), 400, code)
    for after in ("-1", "x", "1" * 30, "1e3", "²"):
        assert_problem(await client.get("/api/v1/events", params={"after": after}), 400, "cursor_invalid")
    assert (await client.get("/api/v1/webhooks")).json()["items"] == []


async def test_nobody_has_more_than_their_number(client_of):
    client = await client_of()
    for _ in range(ENDPOINTS_PER_OWNER):
        assert (await client.post("/api/v1/webhooks", json={"url": URL})).status_code == 201
    assert_problem(await client.post("/api/v1/webhooks", json={"url": URL}), 409, "webhook_limit")
    other = await client_of()
    assert (await other.post("/api/v1/webhooks", json={"url": URL})).status_code == 201


async def test_others_endpoints_are_not_there_except_for_admins(client_of):
    owner, stranger, admin = await client_of(), await client_of(), await client_of(Role.ADMIN)
    address = (await owner.post("/api/v1/webhooks", json={"url": URL})).headers["location"]
    assert_problem(await stranger.get(address), 404, "webhook_not_found")
    assert_problem(await stranger.delete(address), 404, "webhook_not_found")
    assert (await admin.get(address)).status_code == 200
    reader = await client_of(scopes=[Permission.JOBS_READ])
    assert_problem(await reader.get("/api/v1/webhooks"), 403, "forbidden")


# --- the feed


async def test_the_feed_waits_for_the_next_event(client_of, web_store):
    client = await client_of()
    una = await make_principal(web_store)
    await finish_job(web_store, (await make_job(web_store, una)).id)
    first = (await client.get("/api/v1/events")).json()
    assert [item["type"] for item in first["items"]] == ["job.done"]
    assert first["items"][0]["job"]["result"]["windows"] == []
    waiting = asyncio.create_task(client.get("/api/v1/events", params={"after": first["next_cursor"], "wait": 20}))
    await asyncio.sleep(0)
    job = await make_job(web_store, una)
    await finish_job(web_store, job.id)
    async with asyncio.timeout(15):
        second = (await waiting).json()
    assert [item["job"]["id"] for item in second["items"]] == [str(job.id)]
    chosen = await client.get("/api/v1/events", params={"type": ["batch.done", "job.failed"]})
    assert chosen.json()["items"] == []
    assert chosen.json()["next_cursor"] == second["next_cursor"]
