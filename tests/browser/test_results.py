"""Results, examples and the microphone in a real browser."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import expect

from app.db.models import Job
from app.domain.keys import audio_key, example_key, spectrogram_key
from app.domain.media import Container
from app.domain.permissions import Role
from app.domain.results import Timings, Window, genre_result
from app.inference.decoding import SandboxedDecoder
from app.services.jobs import JobFilter, list_jobs
from tests.support.browser import PIXEL, browsing
from tests.support.factories import ADMIN, MODEL, make_probabilities, make_result
from tests.support.portal import open_session
from tests.support.showcase import fill, fill_batch
from tests.support.sounds import chords, encode, stereo

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(90)]

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
RATE_HZ = 22_050
MP3 = encode(stereo(chords(40, RATE_HZ)), RATE_HZ, "mp3")


def _whole_track():
    """Forty seconds of opera, chamber music and opera again."""
    genres = ("opera", "chamber", "opera", "opera")
    windows = [
        Window(number * 10.0, (number + 1) * 10.0, make_probabilities(genre, 0.8))
        for number, genre in enumerate(genres)
    ]
    timings = Timings(queued=700, fetch=10, decode=400, features=400, forward=990, total=2500)
    return genre_result(windows, analysed_seconds=40.0, audible=True, timings_ms=timings, model=MODEL)


async def _label(site, job, genre):
    async with site.store.writing() as uow:
        (await uow.session.get_one(Job, job.id)).label = genre


async def test_course_of_a_whole_track_and_the_link_to_it(site, show, context, page):
    await context.grant_permissions(["clipboard-read", "clipboard-write"], origin=site.url)
    job = await show.upload("concert.mp3", MP3)
    await show.done(job, _whole_track())
    await page.goto(f"{site.url}/jobs/{job.id}")
    await expect(page.get_by_text("analysed in 1.8 s")).to_be_visible()
    rows = page.get_by_role("table", name="What the model heard").locator("tbody tr")
    await expect(rows).to_have_count(3)
    await expect(rows.nth(1)).to_contain_text("0:10–0:20")
    await expect(page.locator(".legend li").first).to_contain_text(re.compile("Opera.*75%"))
    await page.locator(".timeline g").nth(2).click()
    await page.wait_for_function("() => document.getElementById('player').currentTime > 20")
    await page.get_by_role("button", name="Copy link").click()
    await expect(page.locator(".copied-note")).to_contain_text("The link is copied")
    assert await page.evaluate("navigator.clipboard.readText()") == f"{site.url}/jobs/{job.id}"
    site.forgive("spectrogram.png")


async def test_mixed_style_is_named_and_long_analyses_show_how_far_they_are(site, show, page):
    job = await show.upload("mixed.mp3", MP3)
    await show.running(job)
    async with site.store.writing() as uow:
        (await uow.session.get_one(Job, job.id)).progress = 0.37
    await page.goto(f"{site.url}/jobs/{job.id}")
    await expect(page.get_by_role("progressbar")).to_have_js_property("value", 0.37)
    await expect(page.get_by_text("37%")).to_be_visible()
    row = make_probabilities("soft_rock", 0.45)
    row[15] = 0.40
    other = await show.upload("other.mp3", MP3)
    timings = Timings(queued=0, fetch=0, decode=0, features=0, forward=0, total=0)
    windows = [Window(0.0, 11.4, row)]
    await show.done(other, genre_result(windows, analysed_seconds=11.4, audible=True, timings_ms=timings, model=MODEL))
    await site.app.state.parts.files.put_bytes(spectrogram_key(other.id), PIXEL)
    await page.goto(f"{site.url}/jobs/{other.id}")
    await expect(page.get_by_text("Mixed style: between Soft rock and Acoustic pop (40.0%)")).to_be_visible()


async def test_two_recordings_side_by_side(site, show, page):
    one, two = await show.upload("one.mp3", MP3), await show.upload("two.mp3", MP3)
    await show.done(one, make_result("opera", 0.9), title="Aria")
    await show.done(two, make_result("soft_rock", 0.7), title="Riff")
    for job in (one, two):
        await site.app.state.parts.files.put_bytes(spectrogram_key(job.id), PIXEL)
    await page.goto(f"{site.url}/jobs/{one.id}")
    await page.get_by_role("link", name="Compare").click()
    await page.get_by_label("Title, artist or file name").fill("rif")
    await page.get_by_role("button", name="Search").click()
    await page.get_by_role("link", name="Riff").click()
    await expect(page.get_by_role("row", name=re.compile(r"Opera.*90\.0%.*2\.0%"))).to_be_visible()
    await expect(page.get_by_role("row", name=re.compile(r"Soft rock.*0\.7%.*70\.0%"))).to_be_visible()
    await expect(page.get_by_text(re.compile(r"have \d+% in common"))).to_be_visible()


async def test_loudspeaker_plays_the_synthesised_example_and_says_so(site, page):
    for genre in ("opera", "solo"):
        await site.app.state.parts.files.put_bytes(example_key(genre), MP3)
    await page.goto(f"{site.url}/genres")
    button = page.locator("#opera").get_by_role("button", name="Hear an example: Opera")
    await button.click()
    player = page.locator(".hearing")
    await expect(player).to_contain_text("synthesised example")
    await page.wait_for_function("() => document.querySelector('.hearing audio')?.currentTime > 0.2")
    await expect(button).to_have_attribute("aria-pressed", "true")
    await page.locator("#solo").get_by_role("button", name="Hear an example").click()
    await expect(player).to_contain_text("Solo")
    await expect(button).to_have_attribute("aria-pressed", "false")
    await page.keyboard.press("Escape")
    await expect(player).to_be_empty()


async def test_missing_example_is_said_and_breaks_nothing(site, page):
    await page.goto(f"{site.url}/genres")
    await page.locator("#opera").get_by_role("button", name="Hear an example").click()
    await expect(page.get_by_text("This example can't be played right now.")).to_be_visible()
    site.forgive("status of 404")


async def test_reviewer_makes_a_recording_the_example(browser, site, show):
    job = await show.upload("aria.mp3", MP3)
    await show.done(job, make_result("opera", 0.9), title="Aria", artist="A. Singer")
    await show.draw(job, chords(30, RATE_HZ))
    await _label(site, job, "opera")
    async with browsing(browser) as context:
        await site.sign_in(context, await open_session(site.store, Role.REVIEWER))
        page = await site.open_page(context)
        await page.goto(f"{site.url}/jobs/{job.id}")
        await page.get_by_role("button", name="Make it the example of Opera").click()
        await page.get_by_role("link", name="Now the example of Opera").click()
        card = page.locator("#opera")
        await expect(card.get_by_role("link", name="Aria")).to_be_visible()
        await card.get_by_role("button", name="Hear an example").click()
        await expect(page.locator(".hearing")).to_contain_text("Aria, A. Singer")
        await page.wait_for_function("() => document.querySelector('.hearing audio')?.currentTime > 0.2")
        await card.get_by_role("button", name="Back to the synthesised example").click()
        await expect(card.get_by_text("synthesised example")).to_be_visible()
        assert await site.violations(page) == []
    assert site.trouble == []


async def test_axe_finds_nothing_serious(site, show, page, tmp_path):
    """Where no link leads: a comparison, the recorder, an upload with duplicates, an example that plays."""
    addresses = await fill_batch(show, await fill(show))
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "broken.wav").write_bytes(b"no audio at all")
    for theme in ("light", "dark"):
        await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        await page.goto(site.url + addresses["compare"])
        await _axe(page)
        await page.goto(site.url + addresses["track"])
        await page.get_by_role("button", name="Hear an example").first.click()
        await expect(page.locator(".hearing audio")).to_be_visible()
        await _axe(page)
        await page.goto(site.url)
        await page.get_by_role("button", name="Record").click()
        await _axe(page)
        await page.keyboard.press("Escape")
        for number in range(2):
            content = b"RIFF0000WAVE" + theme.encode().ljust(100)
            (tmp_path / "folder" / f"same {number}.wav").write_bytes(content)
        await page.get_by_label("Folder", exact=True).set_input_files(tmp_path / "folder")
        await expect(page.locator("#queue-title")).to_have_text("Sent: 1 of 1")
        await _axe(page)
        await page.set_viewport_size({"width": 380, "height": 760})
        assert await page.evaluate("document.documentElement.scrollWidth") <= 380
        await page.set_viewport_size({"width": 1100, "height": 800})
    site.forgive("status of 415")


async def _axe(page):
    for details in await page.locator("details:visible").all():
        await details.evaluate("(element) => { element.open = true; }")
    await page.evaluate(AXE.read_text())
    report = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    serious = [v for v in report["violations"] if v["impact"] in ("serious", "critical")]
    assert [(v["id"], v["nodes"][0]["html"]) for v in serious] == []


async def test_microphone_is_heard_listened_to_and_sent(site, page):
    await page.goto(site.url)
    await page.get_by_role("button", name="Record").click()
    dialog = page.get_by_role("dialog", name="Record with the microphone")
    await dialog.get_by_role("button", name="Start recording").click()
    await page.wait_for_function("() => document.querySelector('[data-level]').value > 0.05")
    await expect(dialog.get_by_text("0:02 / 0:30")).to_be_visible()
    await dialog.get_by_role("button", name="Stop").click()
    take = dialog.get_by_label("Your recording")
    await expect(take).to_be_visible()
    await take.evaluate("(audio) => audio.play()")
    await page.wait_for_function("() => document.querySelector('[data-take]').currentTime > 0.2")
    await dialog.get_by_role("button", name="Send").click()
    await expect(page.locator("#upload-rows tr")).to_contain_text("Queued")
    async with site.store.reading() as uow:
        [job] = (await list_jobs(uow, ADMIN, JobFilter())).items
    assert job.asset.container is Container.WEBM
    assert re.fullmatch(r"Recording [\d-]+ [\d-]+\.webm", job.asset.name)
    decoder = SandboxedDecoder(processes=1, timeout_s=30)
    await decoder.start()
    clip = await decoder.decode(await site.app.state.parts.files.read(audio_key(job.asset.id)))
    await decoder.close()
    assert clip.duration_s > 1.5
    assert clip.audible


async def test_microphone_that_is_refused(browser, site, show):
    async with browsing(browser) as context:
        await site.sign_in(context, show.session)
        page = await site.open_page(context)
        await page.add_init_script(
            "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('no', 'NotAllowedError'))"
        )
        await page.goto(site.url)
        await page.get_by_role("button", name="Record").click()
        await page.get_by_role("button", name="Start recording").click()
        await expect(page.get_by_text("The browser gave no access to a microphone.")).to_be_visible()
        await page.keyboard.press("Escape")
        await expect(page.get_by_role("dialog")).to_be_hidden()
    assert site.trouble == []
