"""The page suits who uses it: by keyboard, on a small phone, in the dark, without motion, one rider after another."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.browser.chromium import window
from tests.e2e.browser.looks import covered_controls, faint_texts, outside, slowest_animation
from tests.e2e.browser.riders import BrowserRider, rider_at
from tests.e2e.browser.rides import gpx_of, import_file
from tests.e2e.phones import PASSWORD, phone, register
from tests.e2e.processes import Pair
from tests.support import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

_SCHEMES: tuple[Literal["dark"], Literal["light"]] = ("dark", "light")
STELVIO = (46.53, 10.45)
NEAR_ENOUGH = 13.4
"""The zoom at which somebody is followed is beyond it; the view that is remembered is not."""

_ZOOM_AFTER_CLICK = "(row) => { row.click(); return __throttlecove.view().zoom; }"


@asynccontextmanager
async def somebody_at(url: str, name: str, latitude: float, longitude: float) -> AsyncIterator[None]:
    """Another rider, live and at one place."""
    async with phone(await register(url, name)) as device:
        await device.move(await device.start_track(), 0, latitude, longitude)
        try:
            yield
        finally:
            await device.share("nobody")  # off the maps of later tests


async def look_at(rider: BrowserRider, latitude: float, longitude: float, zoom: float = 11.0) -> None:
    """Sign in with a browser that remembers a view."""
    view = {"latitude": latitude, "longitude": longitude, "zoom": zoom}
    remember = "localStorage.getItem('throttlecove.view') ?? localStorage.setItem('throttlecove.view', '%s')"
    await rider.window.context.add_init_script(remember % str(view).replace("'", '"'))
    await rider.sign_in()
    await expect(rider.page.locator(".status[data-state=live]")).to_be_visible()


async def test_who_asks_for_stillness_gets_no_flight_and_no_animation(browser: Browser, served: Pair) -> None:
    async with (
        somebody_at(served.one.url, "hugo", *STELVIO),
        rider_at(browser, served.one.url, "greta", motion="reduce") as greta,
    ):
        await look_at(greta, *STELVIO)
        hugo = greta.row_named("hugo")
        assert await hugo.evaluate(_ZOOM_AFTER_CLICK) > NEAR_ENOUGH
        assert await slowest_animation(greta.page) < 0.001


async def test_riders_are_found_followed_and_left_by_keyboard(browser: Browser, served: Pair) -> None:
    async with (
        somebody_at(served.one.url, "ida", *STELVIO),
        rider_at(browser, served.one.url, "jan") as jan,
    ):
        await look_at(jan, *STELVIO)
        ida = jan.row_named("ida")
        await ida.wait_for()
        for _ in range(20):
            await jan.page.keyboard.press("Tab")
            if await ida.evaluate("(row) => row === document.activeElement"):
                break
        await expect(ida).to_be_focused()
        await jan.page.keyboard.press("Enter")
        card = jan.page.get_by_role("region", name="Followed rider")
        await expect(card).to_contain_text("ida")
        await jan.page.keyboard.press("Escape")
        await expect(card).to_be_hidden()
        await expect(ida).to_be_focused()
        assert await ida.evaluate(_ZOOM_AFTER_CLICK) < NEAR_ENOUGH, "nobody asked for stillness"
        assert await slowest_animation(jan.page) > 0.1
        assert jan.window.complaints == []


async def test_a_phone_has_a_sheet_and_everything_in_reach(browser: Browser, served: Pair) -> None:
    phone_size = {"width": 320, "height": 568, "has_touch": True, "is_mobile": True}
    async with rider_at(browser, served.one.url, "kim", **phone_size) as kim:
        await look_at(kim, *STELVIO)
        page, panel = kim.page, kim.page.locator(".panel")

        async def fills(share: float) -> bool:
            box = await panel.bounding_box()
            return box is not None and abs(box["height"] / 568 - share) < 0.03

        for _ in range(18):
            await page.keyboard.press("Tab")
            assert not await page.evaluate("document.activeElement.closest('.panes') !== null"), "hidden, but focused"
        assert await covered_controls(page) == []
        for tab in ("Record", "My rides", "Riders"):
            await page.get_by_role("tab", name=tab).tap()
            await eventually(lambda: fills(0.52), timeout=40)
            await is_still(page)
            assert await outside(page) == []
            assert await covered_controls(page) == []
        handle = page.get_by_role("button", name="Show more or less")
        await handle.tap()
        await eventually(lambda: fills(512 / 568), timeout=40)
        await handle.tap()
        await eventually(lambda: fills(116 / 568), timeout=40)
        assert kim.window.complaints == []


async def test_every_text_stands_out_from_its_ground_in_the_dark_too(browser: Browser, served: Pair) -> None:
    async with (
        somebody_at(served.one.url, "lea", *STELVIO),
        rider_at(browser, served.one.url, "milan") as milan,
    ):
        page = milan.page
        await page.goto(milan.url)
        await page.get_by_role("button", name="Create an account").wait_for()
        await nothing_is_faint(page)
        await look_at(milan, *STELVIO)
        await milan.row_named("lea").click()
        await expect(page.get_by_role("region", name="Followed rider")).to_contain_text("lea")
        await nothing_is_faint(page)
        await milan.open_tab("Record")
        await page.get_by_role("button", name="Add a zone…").click()
        await page.get_by_role("button", name="Save zone").click()  # and the complaint about the name
        await nothing_is_faint(page)
        await milan.open_tab("My rides")
        await import_file(page, "loop.gpx", gpx_of(300).encode())
        await import_file(page, "photo.gpx", b"no track")
        await expect(page.locator(".tracks-results .is-error")).to_be_visible()
        await nothing_is_faint(page)
        await page.get_by_role("list", name="My rides").get_by_role("button").click()
        await page.get_by_role("slider", name="Place along the ride").wait_for()
        await nothing_is_faint(page)
        await page.get_by_role("button", name="Delete…").click()
        await page.get_by_role("dialog").wait_for()
        await nothing_is_faint(page)


async def nothing_is_faint(page: Page) -> None:
    """Whatever is on the page now can be read in both themes."""
    for scheme in _SCHEMES:
        await page.emulate_media(color_scheme=scheme)
        await page.locator(f"html[data-theme={scheme}]").wait_for()
        await is_still(page)
        assert await faint_texts(page) == []


async def is_still(page: Page) -> None:
    """Wait for what moves or fades; what is taken off the page meanwhile does so no more."""
    await page.evaluate("Promise.allSettled(document.getAnimations().map((each) => each.finished))")


async def test_whoever_comes_first_is_told_that_riders_are_looked_for(browser: Browser, served: Pair) -> None:
    async with rider_at(browser, served.one.url, "nina") as nina:
        await nina.sign_in()
        await expect(nina.page.get_by_role("status").get_by_text("Finding riders…")).to_be_visible()
        await expect(nina.page.get_by_text("The map moves to where riders are.")).to_be_visible()


async def test_an_ended_session_leaves_nothing_behind(browser: Browser, served: Pair) -> None:
    async with rider_at(browser, served.one.url, "olga") as olga:
        await look_at(olga, *STELVIO)
        for tab in ("Record", "My rides"):
            await olga.open_tab(tab)
        await olga.page.evaluate("window.before = new WeakRef(document.querySelector('.live'))")
        await olga.page.get_by_role("button", name="Sign out").click()
        await olga.sign_in_again()
        await expect(olga.page.locator(".status[data-state=live]")).to_be_visible()

        async def is_gone() -> bool:
            await olga.window.devtools.send("HeapProfiler.collectGarbage")
            return bool(await olga.page.evaluate("window.before.deref() === undefined"))

        await eventually(is_gone, timeout=40)


async def test_a_field_at_fault_is_marked_until_it_is_changed(browser: Browser, served: Pair) -> None:
    async with window(browser) as visitor:
        visitor.network_may_fail = True  # the refusal itself is a line in the console
        page = visitor.page
        await page.goto(served.one.url)
        await page.get_by_role("button", name="Create an account").click()
        await page.get_by_label("Username").fill("theo")
        await page.get_by_label("E-mail").fill("nowhere")
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Create account").click()
        mail = page.get_by_label("E-mail")
        await expect(mail).to_have_attribute("aria-invalid", "true")
        await mail.fill("theo@example.org")
        await expect(mail).not_to_have_attribute("aria-invalid", "true")
        assert visitor.complaints == []
