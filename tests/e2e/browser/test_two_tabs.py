"""Two tabs of one browser: they share a session and what is remembered, and one of them records."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.e2e.browser.chromium import Window
from tests.e2e.browser.riders import BrowserRider, rider_at
from tests.e2e.processes import Pair
from tests.support import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

STELVIO = (46.53, 10.45)
ELSEWHERE = "Your ride is being recorded in another tab."


async def another_tab(rider: BrowserRider) -> BrowserRider:
    """The same rider in a new tab of the same browser, signed in as the first is."""
    context = rider.window.context
    page = await context.new_page()
    opened = Window(page, context, await context.new_cdp_session(page))
    await opened.stand(*STELVIO)
    await page.goto(rider.url)
    tab = BrowserRider(opened, rider.url, rider.name, rider.number)
    await tab.open_tab("Record")
    return tab


async def nobody_records(page: Page) -> bool:
    """Whether the closed tab's lock has been let go of, which the browser does by and by."""
    held = await page.evaluate("navigator.locks.query().then(({ held }) => held.map(({ name }) => name))")
    return not any("ride" in name for name in held)


async def all_is_sent(rider: BrowserRider) -> bool:
    return bool(await rider.page.evaluate("window.__throttlecove.ride().unsent === 0"))


async def test_a_ride_is_recorded_by_one_tab_and_goes_on_in_the_other_when_that_is_closed(
    browser: Browser, served: Pair
) -> None:
    async with rider_at(browser, served.two.url, "tabea") as first:
        await first.sign_in()
        await first.open_tab("Record")
        second = await another_tab(first)
        page = second.page
        await first.start_ride(*STELVIO)
        await expect(page.get_by_text(ELSEWHERE)).to_be_visible()
        await page.get_by_role("button", name="Start ride").click()
        await expect(page.get_by_text("a ride is being recorded in another tab")).to_be_visible()
        await first.page.close()
        await eventually(lambda: nobody_records(page), timeout=40)
        await page.get_by_role("button", name="Start ride").click()
        await expect(page.get_by_role("button", name="Stop ride")).to_be_visible()
        await expect(page.get_by_text(ELSEWHERE)).to_be_hidden()
        await page.get_by_role("button", name="Stop ride").click()
        await eventually(lambda: all_is_sent(second), timeout=40)
        await second.open_tab("My rides")
        await expect(page.get_by_role("list", name="My rides").get_by_role("button")).to_have_count(1)
