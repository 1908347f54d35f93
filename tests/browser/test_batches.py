"""Whole folders in a real browser: from the drop to the report, whatever happens on the way."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect
from sqlalchemy import func, select

from app.db.models import Asset, Batch, Job
from app.domain.failures import Failure, FailureCode
from app.domain.jobs import JobState
from app.services.jobs import JobFilter, list_jobs
from tests.support.browser import drop, slow_line
from tests.support.factories import ADMIN, make_result
from tests.support.portal import open_session

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]


def _wav(number: int, size_bytes: int = 200) -> bytes:
    """What begins like a WAV file and is unlike any other."""
    return (b"RIFF\xff\xff\xff\x7fWAVEfmt " + f"{number:08}".encode()).ljust(size_bytes, b"\0")


def _folder(tmp_path: Path, count: int, size_bytes: int = 200) -> Path:
    folder = tmp_path / "Spring archive"
    (folder / "takes").mkdir(parents=True)
    for number in range(count):
        place = folder / "takes" if number % 2 else folder
        (place / f"take {number:04}.wav").write_bytes(_wav(number, size_bytes))
    (folder / "cover.jpg").write_bytes(b"\xff\xd8")
    (folder / ".hidden.wav").write_bytes(_wav(0))
    return folder


async def _jobs(site, **wanted):
    async with site.store.reading() as uow:
        return (await list_jobs(uow, ADMIN, JobFilter(**wanted), limit=100)).items


async def _counts(site) -> tuple[int, int]:
    """Of batches and of jobs."""
    async with site.store.reading() as uow:
        batches, jobs = [await uow.session.scalar(select(func.count()).select_from(table)) for table in (Batch, Job)]
    return batches, jobs


def _title(page: Page):
    return page.locator("#queue-title")


async def _accept_leaving(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())


async def test_a_thousand_files_become_a_batch(site, show, page, tmp_path):
    await page.goto(site.url)
    await page.get_by_label("Folder", exact=True).set_input_files(_folder(tmp_path, 1000))
    await expect(page).to_have_url(re.compile(r"/batches/[\w-]{36}$"))
    await expect(page.get_by_role("heading", name="Spring archive")).to_be_visible()
    await expect(page.get_by_text("Left out, because they are no audio: 2")).to_be_visible()
    # The page stays quick to the touch while the files are on their way.
    await page.get_by_role("button", name="Pause").click()
    await expect(_title(page)).to_have_text(re.compile("Paused"))
    await page.get_by_role("button", name="Go on").click()
    await expect(_title(page)).to_have_text("Sent: 1,000 of 1,000", timeout=120_000)
    assert await _counts(site) == (1, 1000)
    for number, job in enumerate(await _jobs(site)):
        if number < 6:
            await show.done(job, make_result("opera" if number < 4 else "soft_rock", 0.9 if number % 2 else 0.45))
        elif number < 8:
            failures = (Failure(FailureCode.AUDIO_CORRUPT), Failure(FailureCode.DECODE_TIMEOUT, {"limit_s": 20}))
            await show.failed(job, failures[number - 6])
    panel = page.locator("#batch")
    await expect(panel.get_by_role("heading", name="8 of 1,000 analysed · 2 failed")).to_be_visible()
    await expect(panel.get_by_role("row", name=re.compile("Opera.*4$"))).to_be_visible()
    await expect(panel.get_by_role("row", name=re.compile("Low.*3$"))).to_be_visible()
    await panel.get_by_role("button", name="Try all again").click()
    await expect(panel.get_by_role("heading", name="7 of 1,000 analysed · 1 failed")).to_be_visible()
    await expect(page.locator("#batch-recordings tbody tr .name")).to_have_count(30)
    await page.get_by_role("button", name="Failed", exact=True).click()
    await expect(page.locator("#batch-recordings tbody tr .name")).to_have_count(1)


async def test_reload_in_the_middle_loses_nothing_and_sends_nothing_twice(site, page, tmp_path):
    folder = _folder(tmp_path, 12, 60_000)
    await _accept_leaving(page)
    await page.goto(site.url)
    await slow_line(page, 200_000)
    await page.get_by_label("Folder", exact=True).set_input_files(folder)
    await expect(_title(page)).to_have_text(re.compile(r"Sending: [3-9] of 12"), timeout=30_000)
    await page.reload()
    await slow_line(page, -1)
    await expect(
        page.get_by_text(re.compile(r"The upload was interrupted: \d+ recordings have arrived"))
    ).to_be_visible()
    await page.get_by_label("Folder", exact=True).set_input_files(folder)
    await expect(_title(page)).to_have_text("Sent: 12 of 12")
    await expect(page.locator("[data-totals]")).to_contain_text("were here already")
    async with site.store.reading() as uow:
        names = (await uow.session.scalars(select(Asset.name).order_by(Asset.name))).all()
    assert names == [f"take {number:04}.wav" for number in range(12)]
    await page.reload()
    await expect(page.get_by_text("The upload was interrupted")).to_be_hidden()


async def test_session_that_ends_in_the_middle(site, context, page, tmp_path):
    await page.goto(site.url)
    await slow_line(page, 200_000)
    await page.get_by_label("Folder", exact=True).set_input_files(_folder(tmp_path, 8, 60_000))
    await expect(_title(page)).to_have_text(re.compile(r"Sending: [2-9] of 8"), timeout=30_000)
    await context.clear_cookies()
    message = page.get_by_text("Your sign-in has ended.")
    await expect(message).to_be_in_viewport()
    await page.evaluate("scrollTo(0, document.documentElement.scrollHeight)")
    await expect(message).to_be_in_viewport()
    await site.sign_in(context, await open_session(site.store, name="Mira Sandoval"))
    await page.get_by_role("button", name="Go on").click()
    await slow_line(page, -1)
    await expect(_title(page)).to_have_text("Sent: 8 of 8")
    await expect(message).to_be_hidden()
    assert await _counts(site) == (1, 8)
    site.forgive("status of 401")


async def test_refusals_that_arrive_after_signing_in_again_are_no_news(site, page, tmp_path):
    """Three files are on their way when the session ends; two of the answers come when there is a new one."""
    refused, signed_in = [], asyncio.Event()

    async def answer(route):
        if len(refused) < 3:
            refused.append(route)
            if len(refused) < 3:
                await signed_in.wait()
            await route.fulfill(status=401, body="")
        else:
            await route.continue_()

    await page.route("**/uploads?*", answer)
    await page.goto(site.url)
    await page.get_by_label("Folder", exact=True).set_input_files(_folder(tmp_path, 5))
    async with page.expect_response("**/uploads?*"):
        await page.get_by_role("button", name="Go on").click()
    signed_in.set()
    await expect(_title(page)).to_have_text("Sent: 5 of 5")
    await expect(page.get_by_text("Your sign-in has ended.")).to_be_hidden()
    assert await _counts(site) == (1, 5)
    site.forgive("status of 401")


async def test_duplicates_are_recognised_before_they_are_sent(site, show, page, tmp_path):
    known = await show.upload("known.wav", _wav(1))
    await show.done(known, make_result("chamber", 0.9))
    folder = _folder(tmp_path, 3)
    (folder / "take 0002 copy.wav").write_bytes(_wav(2))
    await page.goto(site.url)
    await page.get_by_label("Folder", exact=True).set_input_files(folder)
    await expect(_title(page)).to_have_text("Sent: 2 of 2")
    await page.get_by_text("Here already, so not sent: 2").click()
    rows = page.locator('[data-list="here"] li')
    await expect(rows.filter(has_text="known.wav: Chamber 90.0%")).to_contain_text("take 0001.wav")
    await page.get_by_role("button", name="Send them all the same").click()
    await expect(_title(page)).to_have_text("Sent: 4 of 4")
    assert await _counts(site) == (1, 5)


async def test_a_broken_line_is_tried_again_and_failures_all_at_once(site, page, tmp_path):
    broken = True

    async def answer(route):
        await (route.fulfill(status=500, body="") if broken else route.continue_())

    await page.route("**/uploads?*", answer)
    await page.goto(site.url)
    await page.get_by_label("Folder", exact=True).set_input_files(_folder(tmp_path, 4))
    await expect(page.locator("[data-totals]")).to_contain_text("4 failed")
    broken = False
    await page.locator("#queue").get_by_role("button", name="Try all again").click()
    await expect(_title(page)).to_have_text("Sent: 4 of 4")
    site.forgive("status of 500")


async def test_double_click_and_back_button(site, page, tmp_path):
    await _accept_leaving(page)
    await page.goto(site.url)
    folder = _folder(tmp_path, 2)
    files = await page.get_by_label("Folder", exact=True).element_handle()
    await files.set_input_files(folder)
    await expect(_title(page)).to_have_text("Sent: 2 of 2")
    assert await _counts(site) == (1, 2)
    batch = page.url
    await page.go_back()
    await expect(page.get_by_role("heading", name="Which genre is it?")).to_be_visible()
    await page.goto(f"{site.url}/batches")
    await page.get_by_role("link", name="Spring archive").click()
    await expect(page).to_have_url(batch)
    await page.get_by_role("button", name="Cancel the rest").click()
    question = page.get_by_role("dialog", name="Cancel the rest of this batch?")
    await question.get_by_role("button", name="Cancel the rest").dblclick()
    await expect(question).to_be_hidden()
    await expect(page.get_by_role("heading", name="2 of 2 analysed")).to_be_visible()
    assert {job.state for job in await _jobs(site)} == {JobState.CANCELLED}


async def test_a_folder_that_is_dropped_is_walked_through(site, page, tmp_path):
    """More in one folder than the browser gives at once, and a folder in the folder."""
    folder = _folder(tmp_path, 204)
    await page.goto(site.url)
    await drop(page, "#uploader", folder)
    await expect(page.get_by_role("heading", name="Spring archive")).to_be_visible()
    await expect(page.get_by_text("Left out, because they are no audio: 2")).to_be_visible()
    await expect(_title(page)).to_have_text("Sent: 204 of 204", timeout=60_000)
    async with site.store.reading() as uow:
        names = (await uow.session.scalars(select(Asset.name).order_by(Asset.name))).all()
    assert names == [f"take {number:04}.wav" for number in range(204)]


async def test_a_batch_of_one_with_a_name_and_privacy(site, page):
    await page.goto(site.url)
    await page.get_by_text("As one batch, with a report").click()
    await page.get_by_label("Name of the batch").fill("Winter jingles")
    await page.get_by_label("Private").check()
    await page.get_by_label("Even if it is only a few files").check()
    await page.get_by_label("Analyse whole recordings").check()
    await page.get_by_label("Audio files").set_input_files(
        [{"name": "a.wav", "mimeType": "audio/wav", "buffer": _wav(1)}]
    )
    await expect(page.get_by_role("heading", name="Winter jingles")).to_be_visible()
    await expect(page).to_have_title("Winter jingles · Earmark")
    await expect(page.get_by_role("link", name="Batches", exact=True)).to_have_attribute("aria-current", "page")
    await expect(_title(page)).to_have_text("Sent: 1 of 1")
    await expect(page.locator("#batch").get_by_text("private")).to_be_visible()
    [job] = await _jobs(site)
    assert (job.scope, job.batch_id is not None) == ("full", True)
