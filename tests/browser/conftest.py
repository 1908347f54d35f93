"""Chromium once for all tests; for each test a portal of its own and a signed-in person before it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page

from tests.support.browser import Site, browsing, chromium, served
from tests.support.showcase import Showcase, open_showcase


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session")
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    async with served(tmp_path / "data") as site:
        yield site


@pytest_asyncio.fixture(loop_scope="session")
async def show(site: Site) -> Showcase:
    return await open_showcase(site)


@pytest_asyncio.fixture(loop_scope="session")
async def context(browser: Browser, site: Site, show: Showcase) -> AsyncIterator[BrowserContext]:
    """A signed-in browser. Whatever its pages did wrong fails the test."""
    async with browsing(browser, viewport={"width": 1100, "height": 800}) as context:
        await site.sign_in(context, show.session)
        yield context
        for page in context.pages:
            assert await site.violations(page) == []
    assert site.trouble == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(site: Site, context: BrowserContext) -> Page:
    return await site.open_page(context)
