"""A real server and a real Chromium for tests of the portal."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

from granian.constants import Interfaces
from granian.server.embed import Server
from litestar import Litestar
from litestar.types import Receive, Scope, Send
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, async_playwright

from app.db.uow import Store
from tests.support.portal import (
    SESSION_COOKIE,
    LocalProgress,
    new_app,
    open_session,
    portal_settings,
    use_local_progress,
)

CHROMIUM = "/usr/bin/chromium"
_FLAGS = [
    "--no-sandbox",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A microphone that beeps, and nobody who has to be asked for it.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
]
_WATCH_CSP = """
window.violations = [];
document.addEventListener("securitypolicyviolation",
    (event) => violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""

# A picture, where any will do.
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c6360000000020001487"
    "5ed4b0000000049454e44ae426082"
)


@dataclass
class Site:
    """A served portal. ``trouble`` collects what no page may do: errors in the console, requests to elsewhere."""

    url: str
    app: Litestar
    store: Store
    progress: LocalProgress
    trouble: list[str] = field(default_factory=list)

    async def sign_in(self, context: BrowserContext, session: str | None = None) -> None:
        token = session or await open_session(self.store)
        await context.add_cookies([{"name": SESSION_COOKIE, "value": token, "url": self.url}])

    async def open_page(self, context: BrowserContext) -> Page:
        """A page whose misbehaviour is noted."""
        page = await context.new_page()
        page.on("console", self._note_console)
        page.on("pageerror", lambda error: self.trouble.append(f"script: {error}"))
        page.on("request", self._note_request)
        return page

    def forgive(self, words: str) -> None:
        """The browser itself reports refused requests in its console; here they were meant."""
        assert any(words in entry for entry in self.trouble), self.trouble
        self.trouble = [entry for entry in self.trouble if words not in entry]

    async def violations(self, page: Page) -> list[str]:
        found: list[str] = await page.evaluate("window.violations")
        return found

    def _note_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.trouble.append(f"console: {message.text} {message.location['url']}")

    def _note_request(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.trouble.append(f"elsewhere: {request.url}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class _InFlight:
    """Counts the requests that are being answered, so that a server is stopped only after the last of them."""

    def __init__(self, app: Litestar) -> None:
        self._app = app
        self._count = 0
        self.idle = asyncio.Event()
        self.idle.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        self._count += 1
        self.idle.clear()
        try:
            await self._app(scope, receive, send)
        finally:
            self._count -= 1
            if self._count == 0:
                self.idle.set()


@contextlib.asynccontextmanager
async def served(data_dir: Path, **settings: object) -> AsyncIterator[Site]:
    """The portal on a port of its own, with an empty database."""
    port = _free_port()
    app = await new_app(portal_settings(data_dir, port, **settings))
    requests = _InFlight(app)
    server = Server(requests, address="127.0.0.1", port=port, interface=Interfaces.ASGI)
    serving = asyncio.create_task(server.serve())
    await _answering(port, serving)
    progress = LocalProgress()
    yield Site(f"http://127.0.0.1:{port}", app, use_local_progress(app, progress), progress)
    async with asyncio.timeout(20):
        await requests.idle.wait()
    server.stop()
    await serving


async def _answering(port: int, serving: asyncio.Task[None]) -> None:
    """Wait until the port is open; each refused try takes its turn of the loop, no longer."""
    async with asyncio.timeout(20):
        while True:
            if serving.done():
                serving.result()
            with contextlib.suppress(ConnectionRefusedError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=_FLAGS)
        yield browser
        await browser.close()


@contextlib.asynccontextmanager
async def browsing(browser: Browser, **options: object) -> AsyncIterator[BrowserContext]:
    """Somebody's browser, with an English European set-up unless said otherwise."""
    context = await browser.new_context(**{"locale": "en-GB", "timezone_id": "Europe/Berlin", **options})
    await context.add_init_script(_WATCH_CSP)
    yield context
    await context.close()


async def drop(page: Page, selector: str, *paths: Path) -> None:
    """Drag files or folders of this machine over an element and let them go, as from a file manager."""
    box = await page.locator(selector).bounding_box()
    assert box is not None
    place = {"x": box["x"] + box["width"] / 2, "y": box["y"] + box["height"] / 2}
    data = {"items": [], "files": [str(path) for path in paths], "dragOperationsMask": 1}
    session = await page.context.new_cdp_session(page)
    for step in ("dragEnter", "dragOver", "drop"):
        await session.send("Input.dispatchDragEvent", {"type": step, **place, "data": data})


async def slow_line(page: Page, bytes_per_s: int) -> None:
    """Let the page send this fast; -1 for as fast as it can."""
    session = await page.context.new_cdp_session(page)
    await session.send("Network.enable")
    await session.send(
        "Network.emulateNetworkConditions",
        {"offline": False, "latency": 5, "downloadThroughput": -1, "uploadThroughput": bytes_per_s},
    )
