"""Looking for recordings and at one of them, in a real browser."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from app.domain.failures import Failure, FailureCode
from app.services.jobs import JobFilter, list_jobs
from tests.support.factories import ADMIN, make_result
from tests.support.sounds import chords, encode, stereo

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(90)]

RATE_HZ = 22_050
SAMPLES = chords(31, RATE_HZ)
MP3 = encode(stereo(SAMPLES), RATE_HZ, "mp3")


async def test_states_change_under_the_readers_eyes(site, show, page):
    job = await show.upload("live.mp3", MP3)
    await page.goto(f"{site.url}/jobs/{job.id}")
    await expect(page.get_by_role("heading", name="Waiting for its turn")).to_be_visible()
    await show.running(job)
    await expect(page.get_by_role("heading", name="Earmark is listening")).to_be_visible()
    await show.failed(await show.upload("other.mp3", MP3), Failure(FailureCode.AUDIO_CORRUPT))
    await expect(page.get_by_role("heading", name="live.mp3")).to_be_visible()


async def test_states_change_without_redis_too(site, show, page):
    job = await show.upload("slow.mp3", MP3)
    site.progress.broken = True
    await page.goto(f"{site.url}/library")
    row = page.get_by_role("row", name=re.compile("slow.mp3"))
    await expect(row).to_contain_text("Queued")
    await show.done(job, make_result("opera", 0.7))
    await expect(row).to_contain_text("Opera", timeout=15_000)


async def test_search_and_filter_without_leaving_the_page(site, show, page):
    opera, rock = await show.upload("aria.mp3", MP3), await show.upload("riff.mp3", MP3)
    await show.done(opera, make_result("opera", 0.9))
    await show.done(rock, make_result("soft_rock", 0.4))
    await page.goto(f"{site.url}/library")
    rows = page.locator("#results tbody tr:has(.name)")
    await expect(rows).to_have_count(2)
    await page.get_by_label("Title, artist or file name").press_sequentially("ARI")
    await expect(rows).to_have_count(1)
    await expect(page).to_have_url(f"{site.url}/library?text=ARI")
    await page.get_by_label("Title, artist or file name").fill("")
    await expect(rows).to_have_count(2)
    await page.get_by_label("Confidence").select_option("Low")
    await expect(rows).to_have_count(1)
    await expect(rows).to_contain_text("Soft rock")
    await page.get_by_label("Genre").select_option("Opera")
    await expect(page.get_by_role("heading", name="No recording fits this")).to_be_visible()
    await page.go_back()
    await expect(page.get_by_label("Confidence")).to_have_value("low")
    await expect(rows).to_have_count(1)


async def test_show_more(site, show, page):
    for number in range(52):
        await show.upload(f"{number}.mp3", MP3[:2000])
    await page.goto(f"{site.url}/library")
    rows = page.locator("#results tbody tr .name")
    await expect(rows).to_have_count(50)
    await page.get_by_role("button", name="Show more").scroll_into_view_if_needed()
    await expect(rows).to_have_count(52)
    await expect(page.get_by_role("button", name="Show more")).to_have_count(0)


async def test_player_seeks_to_a_stretch(site, show, page):
    job = await show.upload("seek.mp3", MP3)
    await show.done(job, make_result("chamber", 0.9))
    await show.draw(job, SAMPLES[: 30 * RATE_HZ])
    statuses: list[int] = []
    page.on("response", lambda answer: statuses.append(answer.status) if answer.url.endswith("/audio") else None)
    await page.goto(f"{site.url}/jobs/{job.id}")
    await page.get_by_role("button", name=re.compile("Play from 0:11")).click()
    await page.wait_for_function("document.getElementById('player').currentTime > 11.3")
    assert set(statuses) == {206}
    width = await page.evaluate("document.querySelector('.spectrogram').naturalWidth")
    assert width > 1000


async def test_details_open(site, show, page):
    job = await show.upload("all.mp3", MP3)
    await show.done(job, make_result("chamber", 0.9))
    await show.draw(job, SAMPLES[: 30 * RATE_HZ])
    await page.goto(f"{site.url}/jobs/{job.id}")
    await page.get_by_text("All sixteen genres").click()
    await expect(page.get_by_role("row")).to_have_count(1 + 16 + 1 + 2)
    await page.get_by_text("In two and in nine classes").click()
    await expect(page.get_by_role("heading", name="Nine classes")).to_be_visible()


async def test_cancel_retry_and_delete_by_keyboard(site, show, page):
    job = await show.upload("mine.mp3", MP3)
    await page.goto(f"{site.url}/jobs/{job.id}")
    await page.get_by_role("button", name="Cancel").press("Enter")
    await expect(page.get_by_text("This analysis was cancelled")).to_be_visible()
    await page.get_by_role("button", name="Try again").press("Enter")
    await expect(page.get_by_role("heading", name="Waiting for its turn")).to_be_visible()
    await page.get_by_role("button", name="Delete").press("Enter")
    question = page.get_by_role("dialog", name="Delete this recording?")
    await expect(question).to_be_visible()
    await expect(question.get_by_role("button", name="Keep it")).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(question).to_be_hidden()
    await page.get_by_role("button", name="Delete").press("Enter")
    await question.get_by_role("button", name="Delete").press("Enter")
    await expect(page).to_have_url(f"{site.url}/library")
    await expect(page.get_by_role("heading", name="No recordings yet")).to_be_visible()
    async with site.store.reading() as uow:
        assert (await list_jobs(uow, ADMIN, JobFilter())).items == []


async def test_refused_action_is_said_in_a_message(site, show, page):
    job = await show.upload("late.mp3", MP3)
    await page.route("**/events", lambda _: None)  # never answered: the page does not hear of the change
    await page.goto(f"{site.url}/jobs/{job.id}")
    await show.done(job, make_result())
    await page.get_by_role("button", name="Cancel").click()
    message = page.get_by_role("alert")
    await expect(message).to_contain_text("Not possible now")
    await message.get_by_role("button", name="Close").click()
    await expect(message).to_be_empty()
    site.forgive("status of 409")
    site.forgive("Status Error Code 409")
