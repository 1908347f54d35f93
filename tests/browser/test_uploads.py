"""Uploading in a real browser: from choosing files to the genre in the same row."""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from app.services.jobs import JobFilter, list_jobs
from tests.support.browser import slow_line
from tests.support.factories import ADMIN, make_result
from tests.support.portal import open_session
from tests.support.sounds import beats, chords, encode

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(90)]

MP3 = encode(beats(1), 44_100, "mp3")
# Long enough to be seen on its way over a slow line.
WAV = encode(chords(6), 44_100, "wav")


def _file(name: str, content: bytes = MP3) -> dict[str, object]:
    return {"name": name, "mimeType": "audio/mpeg", "buffer": content}


async def _jobs(site) -> dict[str, object]:
    async with site.store.reading() as uow:
        return {job.asset.name: job for job in (await list_jobs(uow, ADMIN, JobFilter())).items}


async def test_chosen_files_become_rows_that_live_on(site, show, page):
    await page.goto(site.url)
    await page.get_by_label("Audio files").set_input_files([_file("one.mp3"), _file("two.mp3"), _file("三.mp3")])
    rows = page.locator("#upload-rows tr")
    await expect(rows.filter(has_text="Queued")).to_have_count(3)
    jobs = await _jobs(site)
    assert set(jobs) == {"one.mp3", "two.mp3", "三.mp3"}
    row = rows.filter(has_text="two.mp3")
    await show.running(jobs["two.mp3"])
    await expect(row.get_by_text("Analysing")).to_be_visible()
    await show.done(jobs["one.mp3"], make_result("soft_rock", 0.9))
    done = rows.filter(has_text="one.mp3")
    await expect(done.get_by_text("Soft rock")).to_be_visible()
    await expect(done.get_by_text("High")).to_be_visible()
    await expect(page.locator("#announcer")).to_contain_text("Soft rock 90.0%")
    await expect(done.locator("time")).not_to_contain_text("UTC")


async def test_dropped_files_are_uploaded(site, page):
    await page.goto(site.url)
    dropped = await page.evaluate_handle(
        """(bytes) => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.mp3", { type: "audio/mpeg" }));
            return transfer;
        }""",
        list(MP3),
    )
    await page.dispatch_event("#uploader", "dragenter", {"dataTransfer": dropped})
    await expect(page.locator("#uploader")).to_have_class(re.compile(r"\bover\b"))
    await page.dispatch_event("#uploader", "drop", {"dataTransfer": dropped})
    await expect(page.locator("#upload-rows tr").filter(has_text="dropped.mp3")).to_contain_text("Queued")
    await expect(page.locator("#uploader")).not_to_have_class(re.compile(r"\bover\b"))


async def test_progress_is_real_and_three_go_at_a_time(site, page):
    await page.goto(site.url)
    await slow_line(page, 400_000)
    await page.get_by_label("Audio files").set_input_files([_file(f"{n}.wav", WAV) for n in range(5)])
    rows = page.locator("#upload-rows tr")
    await expect(rows).to_have_count(5)
    await expect(rows.filter(has_text=re.compile(r"[1-9]\d*%"))).to_have_count(3)
    await expect(rows.filter(has_text="Waiting")).to_have_count(2)
    shown = await page.evaluate("[...document.querySelectorAll('#upload-rows progress')].map((bar) => bar.value)")
    assert all(0 <= value < 1 for value in shown)
    assert any(value > 0 for value in shown)
    await slow_line(page, -1)
    await expect(rows.filter(has_text="Queued")).to_have_count(5, timeout=20_000)


async def test_cancelled_upload_can_be_taken_up_again(site, page):
    await page.goto(site.url)
    await slow_line(page, 200_000)
    await page.get_by_label("Audio files").set_input_files([_file("slow.wav", WAV)])
    row = page.locator("#upload-rows tr")
    await expect(row).to_contain_text(re.compile(r"\d+%"))
    await row.get_by_role("button", name="Cancel").click()
    await expect(row).to_contain_text("Cancelled")
    assert await _jobs(site) == {}
    await slow_line(page, -1)
    await row.get_by_role("button", name="Try again").click()
    await expect(row).to_contain_text("Queued", timeout=20_000)
    assert set(await _jobs(site)) == {"slow.wav"}


async def test_refused_files_say_why_and_the_others_go_on(site, page):
    await page.goto(site.url)
    files = [
        _file("empty.mp3", b""),
        _file("large.wav", WAV * 4),
        _file("letter.mp3", b"Dear all, " * 50),
        _file("good.mp3"),
    ]
    await page.get_by_label("Audio files").set_input_files(files)
    rows = page.locator("#upload-rows tr")
    await expect(rows.filter(has_text="empty.mp3")).to_contain_text("The file is empty.")
    await expect(rows.filter(has_text="large.wav")).to_contain_text("larger than the limit of 2 MB")
    await expect(rows.filter(has_text="letter.mp3")).to_contain_text("is not MP3, WAV")
    await expect(rows.filter(has_text="good.mp3")).to_contain_text("Queued")
    await expect(rows.get_by_role("button", name="Try again")).to_have_count(0)
    assert set(await _jobs(site)) == {"good.mp3"}
    site.forgive("status of 415")


async def test_a_full_queue_is_waited_for_however_often_it_says_so(site, page):
    refusals = 0

    async def refuse(route):
        nonlocal refusals
        refusals += 1
        if refusals > 6:  # more often than a failure is tried again
            await route.continue_()
        else:
            words = "<p data-detail>So many recordings wait already. Please try again in 1 s.</p>"
            await route.fulfill(status=503, headers={"retry-after": "1"}, content_type="text/html", body=words)

    await page.route("**/uploads", refuse)
    await page.goto(site.url)
    await page.get_by_label("Audio files").set_input_files([_file("one.mp3"), _file("two.mp3")])
    rows = page.locator("#upload-rows tr")
    await expect(rows.filter(has_text="So many recordings wait already")).to_have_count(2)
    await expect(rows.get_by_role("button", name="Try again")).to_have_count(0)
    await expect(rows.filter(has_text="Queued")).to_have_count(2, timeout=20_000)
    assert set(await _jobs(site)) == {"one.mp3", "two.mp3"}
    assert refusals == 8
    site.forgive("status of 503")


async def test_ended_session_keeps_the_list_and_goes_on_by_itself(site, context, page):
    await page.goto(site.url)
    await context.clear_cookies()
    await page.get_by_label("Audio files").set_input_files([_file("kept.mp3"), _file("too.mp3")])
    row = page.locator("#upload-rows tr")
    await expect(page.locator("[data-signed-out]")).to_contain_text("Your sign-in has ended")
    await page.evaluate("htmx.ajax('GET', '/notices', '#notices')")
    await expect(row).to_have_count(2)
    await site.sign_in(context, await open_session(site.store))
    other = await site.open_page(context)
    await other.goto(f"{site.url}/help")
    await expect(row.filter(has_text="Queued")).to_have_count(2)
    await expect(page.get_by_text("Your sign-in has ended")).to_be_hidden()
    site.forgive("status of 401")
