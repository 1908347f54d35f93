"""A walk over every page, as each role, in both themes: nothing from elsewhere, no error, nothing serious to axe.

The pages are not listed here but found: all routes that answer a page, and all links that lead on from them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from litestar.handlers import HTTPRouteHandler
from litestar.routes import HTTPRoute
from playwright.async_api import Page, expect
from sqlalchemy import select

from app.db.models import Review
from app.domain.permissions import Permission, Principal, Role
from app.domain.review_views import DecisionIn
from app.services import reviews
from app.services.batches import create_batch
from tests.support.browser import Site, browsing
from tests.support.factories import PREFERENCES, make_principal
from tests.support.portal import open_session
from tests.support.showcase import fill, open_showcase

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]

AXE = Path(__file__).resolve().parents[2] / "node_modules" / "axe-core" / "axe.min.js"
SERIOUS = ("serious", "critical")
# What is fetched by pages, downloaded, streamed, or leads on: not a page by itself.
NO_PAGES = (
    "/api/",
    "/static/",
    "/health/",
    "/metrics",
    "/events",
    "/notices",
    "/openapi.json",
    "/language/",
    "/sign-in/",
    "/admin",
)
PARTS = ("/row", "/rows", "/panel", "/detail", "/player", "/example", "/export/")
# Whose content is somebody else's work: the explorer of the API.
FOREIGN = ("/docs",)
# Signed in, nobody is shown the way in; what is compared is part of the address.
COMPARE = "/compare"
NEEDS_MORE = ("/sign-in", COMPARE)


def _routes(site: Site) -> Iterator[tuple[str, HTTPRouteHandler]]:
    for route in site.app.routes:
        if isinstance(route, HTTPRoute):
            yield from (
                (route.path_format, handler) for handler in route.route_handlers if "GET" in handler.http_methods
            )


def _may_open(handler: HTTPRouteHandler, role: Role) -> bool:
    permission = handler.opt.get("permission")
    return not isinstance(permission, Permission) or Principal("x", role).may(permission)


def _is_page(path: str) -> bool:
    if path in ("/jobs", "/admin"):  # they lead on
        return False
    inner = path.startswith("/admin/")
    return (inner or not path.startswith(NO_PAGES)) and not any(part in path for part in PARTS)


async def _links(page: Page, site: Site) -> set[str]:
    """Paths of our own that the page leads to."""
    found = await page.evaluate("[...document.querySelectorAll('a[href]:not([download])')].map((link) => link.href)")
    parts = [urlsplit(address) for address in found if address.startswith(site.url)]
    whole = {f"{part.path}?{part.query}" for part in parts if part.path == COMPARE and part.query}
    return whole | {part.path for part in parts if _is_page(part.path) and part.path != COMPARE}


def _kind(path: str) -> str:
    """The same for pages that differ only in what they are about."""
    return "/".join("…" if len(part) == 36 else part for part in urlsplit(path).path.split("/"))


async def _look(site: Site, page: Page, path: str) -> set[str]:
    """Open the page, wait until it has asked for everything, and look for what no page may have; returns its links."""
    answer = await page.goto(site.url + path, wait_until="load")
    assert answer is not None
    assert answer.status < 400, (path, answer.status)
    await page.evaluate("document.fonts.ready.then(() => null)")
    assert await site.violations(page) == [], path
    assert site.trouble == [], path
    return await _links(page, site)


async def _axe(page: Page, path: str) -> None:
    await expect(page.locator(".desk-busy, .htmx-request")).to_have_count(0)  # pale while they wait for an answer
    await page.evaluate("document.querySelectorAll('details').forEach((details) => { details.open = true; })")
    await page.evaluate(AXE.read_text())
    report = await page.evaluate("axe.run(document, { resultTypes: ['violations'] })")
    found = [
        (v["id"], v["nodes"][0]["html"], v["nodes"][0]["failureSummary"])
        for v in report["violations"]
        if v["impact"] in SERIOUS
    ]
    assert found == [], path


async def _fits_a_phone(page: Page, path: str) -> None:
    wide = page.viewport_size
    assert wide is not None
    await page.set_viewport_size({"width": 380, "height": 760})
    assert await page.evaluate("document.documentElement.scrollWidth") <= 380, path
    assert await page.locator("h1").count() == 1, path
    for landmark in ("banner", "main", "contentinfo"):
        assert await page.get_by_role(landmark).count() == 1, (path, landmark)
    await page.set_viewport_size(wide)


async def _walk(site: Site, page: Page, role: Role, *, of_a_kind: int) -> AsyncIterator[str]:
    """Every page with an address of its own that this role may open, and what they lead to: at most so many of a kind."""
    waiting = [
        path for path, handler in _routes(site) if _is_page(path) and "{" not in path and _may_open(handler, role)
    ]
    waiting = [path for path in waiting if path not in NEEDS_MORE]
    seen, kinds = set(waiting), Counter[str]()
    while waiting:
        path = waiting.pop(0)
        kinds[_kind(path)] += 1
        if kinds[_kind(path)] <= of_a_kind:
            new = sorted(await _look(site, page, path) - seen)
            yield path
            seen |= set(new)
            waiting += new


async def _fill(site: Site) -> None:
    """Recordings of every kind, some reviewed, and a batch."""
    show = await open_showcase(site, role=Role.ADMIN)
    jobs = await fill(show)
    jonas = await make_principal(site.store, Role.REVIEWER, "Jonas Vik")
    async with site.store.writing() as uow:
        await reviews.request_reviews(uow, jonas, [jobs["medium"].id, jobs["high"].id])
        review = (await uow.session.scalars(select(Review.id).where(Review.job_id == jobs["medium"].id))).one()
        await reviews.decide(uow, jonas, review, DecisionIn(genre="soft_rock"), defaults=PREFERENCES)
        await create_batch(uow, show.principal, "Spring archive")


async def test_every_page_as_every_role(browser, site):
    """Nobody is led to a page that they may not open."""
    await _fill(site)
    for role in Role:
        async with browsing(browser, viewport={"width": 1100, "height": 800}) as context:
            await site.sign_in(context, await open_session(site.store, role))
            page = await site.open_page(context)
            opened = {path async for path in _walk(site, page, role, of_a_kind=1)}
            assert {"/", "/library", "/dashboard", "/help"} < opened
            assert ("/admin/settings" in opened) == (role is Role.ADMIN)


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_every_page_is_usable_by_everybody(browser, site, theme):
    """By axe, and on a phone."""
    await _fill(site)
    viewport = {"width": 1100, "height": 800}
    options = {"viewport": viewport, "color_scheme": theme, "reduced_motion": "reduce"}
    async with browsing(browser, **options) as context:
        page = await site.open_page(context)
        await _look(site, page, "/sign-in")
        await _axe(page, "/sign-in")
        await site.sign_in(context, await open_session(site.store, Role.ADMIN))
        async for path in _walk(site, page, Role.ADMIN, of_a_kind=9):
            if path not in FOREIGN:
                await _fits_a_phone(page, path)
                await _axe(page, path)
