"""What holds for every page: looks, languages, keyboard, screen readers, and that nothing comes from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import browsing
from tests.support.showcase import fill

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")


async def _all_pages(show) -> dict[str, str]:
    jobs = await fill(show)
    pages = {
        "upload": "/",
        "recordings": "/library",
        "nothing": "/library?text=nothing",
        "help": "/help",
        "docs": "/docs/errors",
    }
    return pages | {state: f"/jobs/{job.id}" for state, job in jobs.items()}


async def _settled(page: Page) -> None:
    await page.wait_for_function("document.fonts.status === 'loaded'")


async def test_language_switch_is_remembered(site, page):
    await page.goto(f"{site.url}/library?text=abc")
    await page.get_by_role("link", name="中文").click()
    await expect(page.get_by_role("heading", name="录音", exact=True)).to_be_visible()
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


async def test_every_page_fits_a_phone_and_has_its_landmarks(site, show, page):
    await page.set_viewport_size({"width": 380, "height": 760})
    for name, path in (await _all_pages(show)).items():
        await page.goto(site.url + path)
        await _settled(page)
        assert await page.evaluate("document.documentElement.scrollWidth") <= 380, name
        assert await page.locator("h1").count() == 1, name
        for landmark in ("banner", "main", "contentinfo"):
            assert await page.get_by_role(landmark).count() == 1, (name, landmark)


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
        stops.append(await page.evaluate("document.activeElement.name || document.activeElement.textContent.trim()"))
        outline = await page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
        assert outline != "none", stops
    assert stops == ["Upload recordings", "text", "state", "genre", "tier", "review", "Search", "first.wav"]
    await page.keyboard.press("Enter")
    await expect(page).to_have_url(f"{site.url}/jobs/{job.id}")


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_axe_finds_nothing_serious(site, show, page, theme):
    await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    addresses = {"sign-in": "/sign-in"} | await _all_pages(show)
    for name, path in addresses.items():
        await page.goto(site.url + path)
        await _settled(page)
        for details in await page.locator("details").all():
            await details.evaluate("(element) => { element.open = true; }")
        await page.evaluate(AXE.read_text())
        report = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
        found = [(v["id"], v["nodes"][0]["html"]) for v in report["violations"] if v["impact"] in SERIOUS]
        assert found == [], name


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
