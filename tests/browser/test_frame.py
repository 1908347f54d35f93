"""What stands around every page: looks, languages, keyboard, signing out."""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from tests.support.browser import browsing

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]


async def test_language_switch_is_remembered(site, page):
    await page.goto(f"{site.url}/library?text=abc")
    await page.get_by_role("link", name="中文").click()
    await expect(page.get_by_role("heading", name="曲库", exact=True)).to_be_visible()
    await expect(page).to_have_url(f"{site.url}/library?text=abc")
    await expect(page.locator("html")).to_have_attribute("lang", "zh-Hans")
    await page.goto(f"{site.url}/help")
    await expect(page.get_by_role("heading", name="帮助")).to_be_visible()


async def test_theme_switch_is_remembered(site, page):
    await page.goto(site.url)
    background = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(background)
    await page.get_by_role("button", name="Switch to dark colours").click()
    dark = await page.evaluate(background)
    assert dark != light
    await page.goto(f"{site.url}/library")
    assert await page.evaluate(background) == dark
    await page.get_by_role("button", name="Switch to light colours").click()
    assert await page.evaluate(background) == light


async def test_theme_follows_the_system(browser, site, show):
    async with browsing(browser, color_scheme="dark") as context:
        await site.sign_in(context, show.session)
        page = await site.open_page(context)
        await page.goto(site.url)
        await expect(page.get_by_role("button", name="Switch to light colours")).to_be_visible()


# What has the focus, by its name or its words, and how it is outlined.
STOP = """() => {
  const at = document.activeElement;
  return [at.name || at.textContent.trim(), getComputedStyle(at).outlineStyle];
}"""


async def test_keyboard_reaches_the_content_in_order(site, show, page):
    job = await show.upload("first.wav", b"RIFF0000WAVE" + bytes(100))
    await page.goto(f"{site.url}/library")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("main")).to_be_focused()
    stops: list[str] = []
    while len(stops) < 20 and "first.wav" not in stops:
        await page.keyboard.press("Tab")
        name, outline = await page.evaluate(STOP)
        stops.append(name)
        assert outline != "none", stops[-3:]
    assert stops == [
        "Upload recordings",
        "All recordings",
        "Save this view",
        "text",
        "genre",
        "tier",
        "order",
        "Search",
        "More filters",
        "",
        "job",
        "Details of first.wav",
        "first.wav",
    ]
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{site.url}/jobs/{job.id}")


async def test_signed_out_pages_behave_as_well(browser, site, show):
    async with browsing(browser, viewport={"width": 380, "height": 760}) as context:
        page = await site.open_page(context)
        await page.goto(f"{site.url}/library")
        await expect(page).to_have_url(f"{site.url}/sign-in?next=%2Flibrary")
        await expect(page.get_by_role("heading", name="Sign in to Earmark")).to_be_visible()
        assert await site.violations(page) == []
        assert await page.evaluate("document.documentElement.scrollWidth") <= 380
    assert site.trouble == []


async def test_sign_out_ends_at_the_sign_in_page(site, page):
    await page.goto(site.url)
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in to Earmark")).to_be_visible()
    await page.goto(f"{site.url}/library")
    await expect(page.get_by_role("heading", name="Sign in to Earmark")).to_be_visible()
