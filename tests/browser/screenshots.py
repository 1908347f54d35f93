"""Pictures of every page, in both languages and themes, wide and narrow, into tests/artifacts (`make screenshots`)."""

from __future__ import annotations

import asyncio
import itertools
import tempfile
from pathlib import Path

from playwright.async_api import Browser, Page

from app.domain.permissions import Role
from tests.support.browser import Site, browsing, chromium, served
from tests.support.showcase import Showcase, fill, open_showcase

ROOT = Path(__file__).resolve().parents[2]
ARTIFACTS = ROOT / "tests" / "artifacts"
SIZES = {"wide": {"width": 1280, "height": 860}, "narrow": {"width": 380, "height": 780}}
LANGUAGES = {"en": "en-GB", "zh": "zh-CN"}
# Chosen ones, for the documents: name of the picture -> name of the file.
IN_DOCS = {
    "high-wide-light-en": "recording.png",
    "jobs-wide-light-en": "recordings.png",
    "upload-narrow-dark-zh": "upload-narrow.png",
}


async def _shoot(page: Page, address: str, name: str) -> None:
    await page.goto(address)
    await page.wait_for_function("document.fonts.status === 'loaded'")
    await page.wait_for_function("[...document.images].every((image) => image.complete)")
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
            await _shoot(page, f"{site.url}/sign-in", f"sign-in-{size}-{theme}-{language}")
            await site.sign_in(context, show.session)
            for name, path in addresses.items():
                await _shoot(page, site.url + path, f"{name}-{size}-{theme}-{language}")


async def main() -> None:
    ARTIFACTS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        async with served(Path(folder) / "data") as site, chromium() as browser:
            show = await open_showcase(site, role=Role.REVIEWER)
            jobs = await fill(show)
            addresses = {"upload": "/", "jobs": "/jobs", "empty": "/jobs?text=nothing", "help": "/help"}
            addresses |= {name: f"/jobs/{job.id}" for name, job in jobs.items()}
            addresses["missing"] = "/jobs/00000000-0000-7000-8000-000000000000"
            await _tour(browser, site, show, addresses)


if __name__ == "__main__":
    asyncio.run(main())
