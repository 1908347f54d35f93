"""The library and the dashboard in a real browser: typing, unfolding, choosing several, and figures that move by themselves."""

from __future__ import annotations

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from app.domain.permissions import Role
from tests.support.browser import browsing
from tests.support.factories import make_result
from tests.support.portal import open_session

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(120)]

WAV = b"RIFF0000WAVE" + bytes(100)


@pytest_asyncio.fixture(loop_scope="session")
async def jobs(show):
    made = {name: await show.upload(f"{name}.wav", WAV) for name in ("river", "stone", "夏日广告")}
    await show.done(made["river"], make_result("opera", 0.4))
    await show.done(made["stone"], make_result("soft_rock", 0.9))
    return made


def _row(page: Page, job):
    return page.locator(f"#recording-{job.id}")


async def test_list_follows_what_is_typed_and_back_undoes_it(site, page, jobs):
    await page.goto(f"{site.url}/library")
    await page.get_by_label("Title, artist or file name").fill("广告")
    await expect(page.locator("#results .name")).to_have_text(["夏日广告.wav"])
    await expect(page).to_have_url(f"{site.url}/library?text=%E5%B9%BF%E5%91%8A")
    await page.get_by_label("Title, artist or file name").fill("")
    await expect(page.locator("#results .name")).to_have_count(3)
    await page.get_by_label("Order").select_option("least_certain")
    await expect(page.locator("#results .name")).to_have_text(["river.wav", "stone.wav"])
    await page.go_back()
    await expect(page.locator("#results .name")).to_have_count(3)


async def test_details_unfold_in_place_and_fold_again(site, page, jobs):
    await page.goto(f"{site.url}/library")
    button = page.get_by_role("button", name="Details of stone.wav")
    await button.press("Enter")
    detail = _row(page, jobs["stone"]).get_by_role("list", name="The five most probable genres")
    await expect(detail.get_by_role("listitem")).to_have_count(5)
    await expect(button).to_have_attribute("aria-expanded", "true")
    await button.press("Enter")
    await expect(detail).to_be_hidden()


async def test_several_are_chosen_and_deleted_after_a_question(site, page, jobs):
    await page.goto(f"{site.url}/library")
    bar = page.get_by_role("form", name="What to do with the chosen recordings")
    await expect(bar).to_be_hidden()
    await page.get_by_label("Choose stone.wav").check()
    await page.get_by_label("Choose 夏日广告.wav").click(modifiers=["Shift"])
    await expect(bar.get_by_role("status")).to_have_text("2 chosen")
    await page.get_by_label("Choose all that are shown").check()
    await expect(bar.get_by_role("status")).to_have_text("3 chosen")
    await page.get_by_label("Choose river.wav").uncheck()
    async with page.expect_download() as download:
        await bar.get_by_role("button", name="Export as CSV").click()
    assert (await download.value).suggested_filename == "library.csv"
    await bar.get_by_role("button", name="Delete").click()
    await page.get_by_role("dialog").get_by_role("button", name="Delete").dblclick()
    await expect(page.locator(".toast.good").first).to_contain_text("Deleted: 2.")
    await expect(page.locator("#results .name")).to_have_text(["river.wav"])
    await expect(bar).to_be_hidden()


async def test_a_row_that_changes_keeps_focus_and_choice(site, show, page, jobs):
    await page.goto(f"{site.url}/library")
    box = page.get_by_label("Choose 夏日广告.wav")
    await box.check()
    await show.done(jobs["夏日广告"], make_result("opera", 0.9))
    await expect(_row(page, jobs["夏日广告"])).to_contain_text("Opera", timeout=15_000)
    await expect(box).to_be_checked()
    await expect(box).to_be_focused()
    await expect(page.get_by_role("form", name="What to do with the chosen recordings")).to_contain_text("1")


async def test_a_view_is_saved_and_opened(site, page, jobs):
    await page.goto(f"{site.url}/library?tier=low")
    await page.get_by_role("button", name="Save this view").click()
    await page.get_by_role("dialog").get_by_label("Name").fill("Doubtful")
    await page.get_by_role("dialog").get_by_role("button", name="Save").click()
    await expect(page.get_by_role("link", name="Doubtful")).to_have_attribute("aria-current", "true")
    await page.get_by_role("link", name="All recordings").click()
    await page.get_by_role("link", name="Doubtful").click()
    await expect(page.locator("#results .name")).to_have_text(["river.wav"])


async def test_dashboard_moves_by_itself_and_stays_unfolded(site, show, page, jobs):
    await page.goto(f"{site.url}/dashboard")
    await expect(page.locator("#figure-queued")).to_have_text("1")
    await page.get_by_text("Results by the hour, as a table").click()
    await show.done(jobs["夏日广告"], make_result("opera", 0.9))
    await expect(page.locator("#figure-queued")).to_have_text("0", timeout=15_000)
    await expect(page.locator("#figure-throughput")).to_have_text("3")
    by_hour = await page.locator("#hours-rows tr td:nth-of-type(1)").all_inner_texts()
    assert sum(map(int, by_hour)) == 3  # in two of them, if the clock strikes meanwhile
    await expect(page.locator("#hours-rows tr").first).to_be_visible()


async def test_an_admin_changes_the_settings_by_keyboard(browser, site):
    async with browsing(browser, viewport={"width": 1100, "height": 800}) as context:
        await site.sign_in(context, await open_session(site.store, Role.ADMIN))
        page = await site.open_page(context)
        await page.goto(f"{site.url}/admin/settings")
        await page.get_by_label("Name of the organisation").fill("Nordlicht")
        await page.get_by_label("Name of the organisation").press("Enter")
        await expect(page.locator(".toast.good")).to_contain_text("Saved")
        await page.reload()
        await expect(page.get_by_text("Internal tool · for staff of Nordlicht only")).to_be_visible()
        assert await site.violations(page) == []
    assert site.trouble == []
