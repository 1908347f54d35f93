"""Webhooks in the portal: made, tried out, looked at, sent again, switched off; given up ones are told on every page."""

from __future__ import annotations

import asyncio
import re

import pytest

from app.domain.permissions import Role
from app.resources import Resources
from tests.support.portal import new_app, open_session, person_at, portal_settings, running
from tests.support.receiver import receiver
from workers.deliveries import Postman


@pytest.fixture
async def web(tmp_path):
    app = await new_app(portal_settings(tmp_path / "data", intranet_hosts="127.0.0.1"))
    async with running(app):
        yield app


@pytest.fixture
async def una(signed_in):
    return await signed_in(Role.UPLOADER)


async def deliver(web, web_store, *, until) -> None:
    """Send what is due until the page at ``until`` says that it is over."""
    parts = Resources(web_store.database, None, web_store, None, "", web.state.parts.config.intranet)
    stop = asyncio.Event()
    task = asyncio.create_task(Postman(parts, delays_s=()).run(stop))
    async with asyncio.timeout(20):
        while not await until():  # noqa: ASYNC110  a page tells nobody
            await asyncio.sleep(0.05)
    stop.set()
    await task


async def test_from_making_it_to_sending_again(una, web, web_store):
    async with receiver(status=500) as target:
        made = await una.post("/webhooks", data={"url": target.url, "description": "sync", "event": ["job.done"]})
        assert made.status_code == 200
        [secret] = re.findall(r"whsec_[\w+/=]+", made.text)
        page = await una.get("/webhooks")
        assert "sync" in page.text
        assert secret not in page.text
        [address] = set(re.findall(r'href="(/webhooks/[0-9a-f-]{36})"', page.text))
        tested = await una.post(f"{address}/test")
        delivery = tested.headers["hx-redirect"]
        assert 'hx-trigger="every 2s"' in (await una.get(delivery)).text

        async def over() -> bool:
            return "every 2s" not in (await una.get(delivery, part=True)).text

        await deliver(web, web_store, until=over)
        page = await una.get(delivery)
        assert "answered 500" in page.text
        assert "webhook-signature: v1," in page.text
        again = (await una.post(f"{delivery}/redeliver")).headers["hx-redirect"]
        assert again != delivery
        log = await una.get(f"{address}?state=failed", part=True)
        assert log.text.count("Failed") == 1
    assert "<html" not in log.text


async def test_a_new_secret_a_switch_and_an_end(una):
    made = await una.post("/webhooks", data={"url": "http://127.0.0.1:9/", "description": ""})
    [secret] = re.findall(r"whsec_[\w+/=]+", made.text)
    [address] = set(re.findall(r'href="(/webhooks/[0-9a-f-]{36})"', (await una.get("/webhooks")).text))
    rotated = await una.post(f"{address}/secret", data={"overlap_hours": "24"})
    assert re.findall(r"whsec_[\w+/=]+", rotated.text) not in ([secret], [])
    assert "The secret before signs until" in (await una.get(address)).text
    await una.post(f"{address}/off")
    assert "Switched off" in (await una.get(address)).text
    assert (await una.post(f"{address}/test")).status_code == 409
    await una.post(f"{address}/on")
    changed = await una.post(f"{address}/change", data={"url": "http://127.0.0.1:10/", "description": "new <b>"})
    assert changed.headers["hx-redirect"] == address
    assert "new &lt;b&gt;" in (await una.get(address)).text
    assert (await una.post(f"{address}/redeliver", data={"hours": "24"})).status_code == 200
    assert (await una.post(f"{address}/redeliver", data={"hours": "many"})).status_code == 400
    assert (await una.post(f"{address}/delete")).headers["hx-redirect"] == "/webhooks"
    assert (await una.get(address)).status_code == 404


async def test_an_inner_address_is_refused_in_words(una):
    refused = await una.post("/webhooks", data={"url": "https://169.254.169.254/", "description": ""})
    assert refused.status_code == 400
    assert "EARMARK_INTRANET_HOSTS" in refused.text


async def test_each_sees_their_own_and_viewers_none(una, signed_in, web, web_store):
    await una.post("/webhooks", data={"url": "http://127.0.0.1:9/", "description": "mine"})
    [address] = set(re.findall(r'href="(/webhooks/[0-9a-f-]{36})"', (await una.get("/webhooks")).text))
    otto = person_at(web, await open_session(web_store, Role.UPLOADER, "Otto"))
    assert "mine" not in (await otto.get("/webhooks")).text
    assert (await otto.get(address)).status_code == 404
    await otto.http.aclose()
    assert "mine" in (await (await signed_in(Role.ADMIN)).get("/webhooks")).text
    viewer = await signed_in(Role.VIEWER)
    assert (await viewer.get("/webhooks")).status_code == 403
    assert 'href="/webhooks"' not in (await viewer.get("/help")).text


async def test_a_webhook_that_was_given_up_is_told_on_every_page(una, web, web_store):
    async with receiver(status=410) as target:
        await una.post("/webhooks", data={"url": target.url, "description": ""})
        [address] = set(re.findall(r'href="(/webhooks/[0-9a-f-]{36})"', (await una.get("/webhooks")).text))
        assert "switched off" not in (await una.get("/help")).text
        await una.post(f"{address}/test")

        async def told() -> bool:
            return "A webhook of yours was switched off." in (await una.get("/help")).text

        await deliver(web, web_store, until=told)
    assert "410" in (await una.get(address)).text
