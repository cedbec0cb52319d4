"""`python -m tests.e2e.browser.screenshots`: the pictures of docs/pictures, taken of a running `make run`.

Signs in with the demonstration's login, looks for riders, and waits until trails have grown. Pictures are small: a
palette of 256 colours is all that a flat map needs.
"""

import argparse
import asyncio
import io
import json
import re
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from PIL import Image
from playwright.async_api import Browser, Page, expect

from tests.e2e.browser.chromium import chromium, window

_PICTURES = Path(__file__).parents[3] / "docs" / "pictures"
_MOST_BYTES = 300_000
_UNDER_WAY = re.compile(r"[4-9]\d km/h|1\d\d km/h")
_FAR_ENOUGH = re.compile(r"[1-9]\.\d km seen")
"""Of a followed rider, before the picture is taken."""
_DESKTOP = {"width": 1280, "height": 800}
_PHONE = {"width": 390, "height": 844, "device_scale_factor": 2, "has_touch": True, "is_mobile": True}


def main() -> None:
    """Take all pictures."""
    parser = argparse.ArgumentParser(prog="python -m tests.e2e.browser.screenshots", description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:8000", help="a running `make run` (default: %(default)s)")
    parser.add_argument("--into", type=Path, default=_PICTURES, help="where to write them")
    options = parser.parse_args()
    options.into.mkdir(parents=True, exist_ok=True)
    asyncio.run(take_all(options.url, options.into))


async def take_all(url: str, into: Path) -> None:
    async with chromium() as browser:
        await take(browser, url, into / "desktop.png", following, **_DESKTOP)
        await take(browser, url, into / "dark.png", following, scheme="dark", **_DESKTOP)
        await take(browser, url, into / "phone.png", following, **_PHONE)
        await take(browser, url, into / "density.png", density, **_DESKTOP)
        await take(browser, url, into / "my-rides.png", my_rides, **_DESKTOP)


async def take(browser: Browser, url: str, path: Path, prepare: Any, **how: Any) -> None:
    """One picture: sign in, bring the page to where it is wanted, write it."""
    async with window(browser, **how) as opened:
        await opened.page.goto(url)
        await sign_in(opened.page, url)
        await prepare(opened.page)
        write(await opened.page.screenshot(), path)
        assert opened.complaints == [], opened.complaints


async def sign_in(page: Page, url: str) -> None:
    with urlopen(f"{url}/config.json") as answer:
        login = json.load(answer)["demo_login"]
    assert login is not None, "this server offers no demo login; is it `make run`?"
    await page.get_by_label("Username or e-mail").fill(login["identifier"])
    await page.get_by_label("Password").fill(login["password"])
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.locator(".status[data-state=live]")).to_be_visible(timeout=30_000)


async def following(page: Page) -> None:
    """Several riders in sight, one of them followed, with a trail."""
    rows = page.get_by_role("list", name="Riders in sight").get_by_role("button", include_hidden=True)
    await expect(rows.nth(3)).to_be_attached(timeout=30_000)
    await rows.filter(has_text=_UNDER_WAY).first.dispatch_event("click")  # on a phone the list is out of sight
    card = page.get_by_role("region", name="Followed rider")
    for _ in range(2):
        await page.get_by_role("button", name="Zoom out").click()
    await expect(card).to_contain_text(_FAR_ENOUGH, timeout=120_000)


async def density(page: Page) -> None:
    """Far out, where riders are counts."""
    for _ in range(4):
        await page.get_by_role("button", name="Zoom out").click()
    await expect(page.get_by_text("Riders per area")).to_be_visible(timeout=15_000)


async def my_rides(page: Page) -> None:
    """One past ride with its profile, and its line on the map."""
    await page.get_by_role("tab", name="My rides").click()
    rides = page.get_by_role("list", name="My rides").get_by_role("button")
    await rides.nth(1).click()
    profile = page.get_by_role("slider", name="Place along the ride")
    await profile.scroll_into_view_if_needed()
    box = await profile.bounding_box()
    assert box is not None
    await page.mouse.move(box["x"] + box["width"] * 0.6, box["y"] + box["height"] / 2)
    await expect(page.get_by_text(re.compile(r"km · [\d,]+ m · \d+ km/h"))).to_be_visible()


def write(screenshot: bytes, path: Path) -> None:
    """As a PNG with a palette. Raises AssertionError when it is too large to be part of the repository."""
    image = Image.open(io.BytesIO(screenshot)).convert("RGB")
    image.quantize(colors=256, dither=Image.Dither.NONE).save(path, optimize=True)
    assert path.stat().st_size < _MOST_BYTES, f"{path} has {path.stat().st_size} bytes"


if __name__ == "__main__":
    main()
