"""Webhooks at the browser: by keyboard, in both themes, on a phone."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.browser.test_every_page import _axe, _fits_a_phone
from tests.support.browser import browsing, served
from tests.support.showcase import open_showcase
from tests.support.webhook_showcase import webhook_pages

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_making_one_by_keyboard_shows_its_secret_once(tmp_path, browser):
    async with served(tmp_path / "data", intranet_hosts="127.0.0.1") as site, browsing(browser) as context:
        await site.sign_in(context, (await open_showcase(site)).session)
        page = await site.open_page(context)
        await page.goto(f"{site.url}/webhooks")
        await page.get_by_label("Address").focus()
        await page.keyboard.type("http://127.0.0.1:9/hook")
        await page.keyboard.press("Enter")
        await expect(page.get_by_text("whsec_")).to_be_visible()
        await page.get_by_role("link", name="I have copied it").click()
        await expect(page.get_by_text("whsec_")).to_have_count(0)
        await page.get_by_role("button", name="Send a test event").click()
        await expect(page.get_by_role("heading", name="Test")).to_be_visible()
        await expect(page.get_by_text("On its way")).to_be_visible()
        await page.get_by_role("link", name="http://127.0.0.1:9/hook").click()
        page.once("dialog", lambda dialog: dialog.accept())
        await page.get_by_role("button", name="Delete").click()
        await expect(page.get_by_text("There are no webhooks yet.")).to_be_visible()
        assert site.trouble == []


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_its_pages_are_for_everybody_and_fit_a_phone(browser, site, show, theme):
    async with browsing(browser, viewport={"width": 1100, "height": 800}, color_scheme=theme) as context:
        await site.sign_in(context, show.session)
        page = await site.open_page(context)
        for path in (await webhook_pages(site.store, show.principal)).values():
            await page.goto(site.url + path)
            await _axe(page, path)
            await _fits_a_phone(page, path)
            assert await site.violations(page) == []
        assert site.trouble == []
