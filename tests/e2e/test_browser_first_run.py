"""From nothing to a genre, in a browser: `make run` on an empty folder, the printed link, three dropped files."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.support.browser import browsing, chromium
from tests.support.first_run import FirstRun
from tests.support.sounds import beats, chords, encode, melody

# The first of these tests waits for `make run` to build the starter model.
pytestmark = pytest.mark.timeout(480)

# A slow machine may take its time for three files, one after another.
_DONE_MS = 90_000


@pytest.fixture
def three_files(tmp_path: Path) -> list[Path]:
    written = []
    for name, sound, container in (
        ("Morgenlied.mp3", chords(30), "mp3"),
        ("夏日.flac", beats(20), "flac"),
        ("short.wav", melody(3), "wav"),
    ):
        path = tmp_path / name
        path.write_bytes(encode(sound, 44_100, container))
        written.append(path)
    return written


async def _sixteen_probabilities(page: Page) -> list[float]:
    """As the page of a recording shows them, in its table of all genres."""
    await page.get_by_text("All sixteen genres").click()
    texts = (
        await page.locator("details", has_text="All sixteen genres").get_by_text(re.compile(r"%$")).all_inner_texts()
    )
    return [float(text.removesuffix("%")) / 100 for text in texts]


async def test_sign_in_drop_three_files_and_read_their_genres(first_run: FirstRun, three_files: list[Path]):
    async with chromium() as browser, browsing(browser) as context:
        page = await context.new_page()
        await page.goto(first_run.sign_in_link)
        await expect(page.get_by_role("heading", name="Which genre is it?")).to_be_visible()
        await page.get_by_label("Audio files").set_input_files(three_files)
        rows = page.locator("#upload-rows tr")
        await expect(rows).to_have_count(3)
        addresses = []
        for file in three_files:
            row = rows.filter(has_text=file.name)
            await expect(row.get_by_text(re.compile(r"^\d+\.\d%$"))).to_be_visible(timeout=_DONE_MS)
            addresses.append(await row.get_by_role("link").first.get_attribute("href"))
        for address in addresses:
            await page.goto(first_run.base_url + str(address))
            await expect(page.get_by_text("starter").first).to_be_visible()
            probabilities = await _sixteen_probabilities(page)
            assert len(probabilities) == 16
            # Each is shown rounded to a tenth of a per cent.
            assert sum(probabilities) == pytest.approx(1, abs=16 * 0.0005)


async def test_the_link_works_once(first_run: FirstRun):
    async with chromium() as browser, browsing(browser) as context:
        link = first_run.run("sign-in-link").strip().splitlines()[-1]
        page = await context.new_page()
        await page.goto(link)
        await expect(page.get_by_role("heading", name="Which genre is it?")).to_be_visible()
        await context.clear_cookies()
        response = await page.goto(link)
        assert response is not None
        assert response.status == 403
