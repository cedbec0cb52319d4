"""A headless Chromium for tests, and windows in it: one rider each, with a position and a console that is read."""

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from playwright.async_api import Browser, BrowserContext, CDPSession, ConsoleMessage, Page, async_playwright

_NAMES = (
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
_FLAGS = (
    "--no-sandbox",  # tests may run as root, in containers
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--enable-unsafe-swiftshader",  # WebGL without a graphics card
)
PATIENCE_MS = 40_000
"""For whatever is to happen at a page: without a graphics card, and beside other tests, it may take a while."""
WITHOUT_WEBGL = ("--disable-gpu", "--disable-3d-apis")


def executable() -> str:
    """The browser to run: CHROMIUM, or the first that is installed. Fails the test, naming the command, without any."""
    for name in (os.environ.get("CHROMIUM", ""), *_NAMES):
        if name and (found := shutil.which(name)):
            return found
    raise AssertionError("Chromium is not installed; run `make setup`")


@asynccontextmanager
async def chromium(*flags: str) -> AsyncIterator[Browser]:
    """A running browser."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=executable(), args=[*_FLAGS, *flags], timeout=3 * PATIENCE_MS
        )
        try:
            yield browser
        finally:
            await browser.close()


@dataclass
class Window:
    """One window and what its console complained of."""

    page: Page
    context: BrowserContext
    devtools: CDPSession
    complaints: list[str] = field(default_factory=list)
    network_may_fail: bool = False
    """While a test cuts the line, requests that fail are no complaint."""

    def heard(self, message: ConsoleMessage) -> None:
        if "GL Driver Message" in message.text:
            return  # of the software that draws without a graphics card
        failed_request = message.text.startswith(("Failed to load resource", "WebSocket connection to"))
        if message.type in {"error", "warning"} and not (failed_request and self.network_may_fail):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url', '')})")

    async def stand(self, latitude: float, longitude: float, **more: float) -> None:
        """Be at a place; `more` are altitude (metres), heading (degrees) and speed (metres a second)."""
        position = {"latitude": latitude, "longitude": longitude, "accuracy": 5, **more}
        await self.devtools.send("Emulation.setGeolocationOverride", position)


@asynccontextmanager
async def window(
    browser: Browser,
    *,
    scheme: Literal["light", "dark"] = "light",
    motion: Literal["no-preference", "reduce"] = "no-preference",
    width: int = 1000,
    height: int = 700,
    **more: Any,
) -> AsyncIterator[Window]:
    """A window with a storage of its own, allowed to know where it is."""
    context = await browser.new_context(
        viewport={"width": width, "height": height},
        color_scheme=scheme,
        permissions=["geolocation"],
        reduced_motion=motion,
        locale="en-GB",
        timezone_id="Europe/Rome",
        **more,
    )
    context.set_default_timeout(PATIENCE_MS)
    page = await context.new_page()
    opened = Window(page, context, await context.new_cdp_session(page))
    page.on("console", opened.heard)
    page.on("pageerror", lambda error: opened.complaints.append(f"uncaught: {error}"))
    try:
        yield opened
    finally:
        await context.close()
