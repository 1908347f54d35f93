"""Pictures of every page, in both languages and themes, wide and narrow, into tests/artifacts (`make screenshots`)."""

from __future__ import annotations

import asyncio
import itertools
import re
import tempfile
from pathlib import Path

from playwright.async_api import Browser, FilePayload, Page, expect

from app.domain.permissions import Role
from app.services.jobs import JobFilter, list_jobs
from tests.support.browser import Site, browsing, chromium, served, slow_line
from tests.support.factories import ADMIN, make_result
from tests.support.review_showcase import review_pages
from tests.support.showcase import Showcase, fill, fill_batch, open_showcase
from tests.support.sounds import chords, encode
from tests.support.webhook_showcase import webhook_pages

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "tests" / "artifacts"
SIZES = {"wide": {"width": 1280, "height": 860}, "narrow": {"width": 380, "height": 780}}
LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}
# Chosen ones, for the documents: name of the picture -> name of the file.
IN_DOCS = {
    "high-wide-light-en": "job.png",
    "dashboard-wide-light-en": "dashboard.png",
    "library-wide-dark-zh": "library-dark-zh.png",
    "review-desk-wide-light-en": "review.png",
    "uploading-wide-light-en": "upload.png",
}
ADMIN_PAGES = {
    "library": "/library",
    "library-empty": "/library?text=nothing",
    "library-filtered": "/library?tier=low&review=waiting&order=least_certain",
    "dashboard": "/dashboard",
    "settings": "/admin/settings",
    "people": "/admin/people",
    "api-keys": "/api-keys",
    "models": "/admin/models",
    "audit": "/admin/audit",
    "retention": "/admin/retention",
}


async def _open(page: Page, address: str, name: str) -> None:
    await page.goto(address)
    await _shoot(page, name)


async def _shoot(page: Page, name: str) -> None:
    # Waiting for a function would evaluate text in the page again and again, which its content security policy forbids.
    await page.evaluate("document.fonts.ready.then(() => null)")
    await page.evaluate("Promise.allSettled([...document.images].map((image) => image.decode())).then(() => null)")
    if await page.locator("#desk").count():
        await page.locator("[data-drawn]").first.wait_for(state="attached")
    await page.screenshot(path=ARTIFACTS / f"{name}.png", full_page=True, animations="disabled")
    if name in IN_DOCS:
        images = ROOT / "docs" / "images"
        images.mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=images / IN_DOCS[name], animations="disabled")


async def _tour(browser: Browser, site: Site, show: Showcase, addresses: dict[str, str]) -> None:
    for (size, viewport), theme, (language, locale) in itertools.product(
        SIZES.items(), ("light", "dark"), LANGUAGES.items()
    ):
        async with browsing(browser, viewport=viewport, color_scheme=theme, locale=locale) as context:
            await show.worker_ready()
            page = await context.new_page()
            await _open(page, f"{site.url}/sign-in", f"sign-in-{size}-{theme}-{language}")
            await site.sign_in(context, show.session)
            for name, path in addresses.items():
                await _open(page, site.url + path, f"{name}-{size}-{theme}-{language}")


def _file(name: str, content: bytes) -> FilePayload:
    return {"name": name, "mimeType": "audio/mpeg", "buffer": content}


async def _uploading(browser: Browser, site: Site, show: Showcase) -> None:
    """The start page while files are on their way: done, analysed, sent and waiting."""
    async with browsing(browser, viewport=SIZES["wide"], color_scheme="light") as context:
        await site.sign_in(context, show.session)
        await show.worker_ready()
        page = await context.new_page()
        await page.goto(site.url)
        small, large = (encode(chords(seconds, 22_050), 22_050, "wav") for seconds in (2, 60))
        await page.locator("#files").set_input_files([_file(f"jingle {n}.wav", small) for n in ("A", "B")])
        rows = page.locator("#upload-rows tr")
        await expect(rows.filter(has_text="Queued")).to_have_count(2)
        async with site.store.reading() as uow:
            done, running = (await list_jobs(uow, ADMIN, JobFilter(text="jingle"))).items
        await show.done(done, make_result("dance_pop", 0.87))
        await show.running(running)
        await slow_line(page, 900_000)
        await page.locator("#files").set_input_files([_file(f"brand film {n}.wav", large) for n in range(1, 5)])
        await expect(rows.filter(has_text=re.compile(r"[3-9]\d%"))).not_to_have_count(0)
        await expect(rows.filter(has_text="Analysing")).to_have_count(1)
        await _shoot(page, "uploading-wide-light-en")


async def main() -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with (
            served(Path(folder) / "data", upload_limit_bytes=30_000_000, organisation="Nordlicht Media") as site,
            chromium() as browser,
        ):
            show = await open_showcase(site, role=Role.ADMIN)
            jobs = await fill(show)
            addresses = {"upload": "/", "help": "/help"} | ADMIN_PAGES
            addresses |= {name: f"/jobs/{job.id}" for name, job in jobs.items()}
            addresses |= await fill_batch(show, jobs)
            addresses |= await review_pages(site.store)
            addresses |= await webhook_pages(site.store, show.principal)
            addresses["missing"] = "/jobs/00000000-0000-7000-8000-000000000000"
            await _tour(browser, site, show, addresses)
            await _uploading(browser, site, show)


if __name__ == "__main__":
    asyncio.run(main())
