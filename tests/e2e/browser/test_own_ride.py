"""A ride of one's own at the page: it needs a position, is not left unasked, and is off the map when it has ended."""

import pytest
from playwright.async_api import Browser, expect

from tests.e2e.browser.riders import BrowserRider, rider_at
from tests.e2e.processes import Pair
from tests.support import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

STELVIO = (46.53, 10.45)


async def test_a_ride_that_may_not_know_where_it_is_does_not_begin(browser: Browser, served: Pair) -> None:
    async with rider_at(browser, served.one.url, "ulla") as ulla:
        await ulla.window.context.clear_permissions()
        await ulla.sign_in()
        await expect(ulla.page.locator(".panel")).to_be_focused()
        await ulla.open_tab("Record")
        await ulla.page.get_by_role("button", name="Start ride").click()
        await expect(ulla.page.get_by_text("The browser was not allowed to say where you are.")).to_be_visible()
        await expect(ulla.page.get_by_role("button", name="Start ride")).to_be_visible()
        await ulla.open_tab("My rides")
        await expect(ulla.page.get_by_text("No rides yet.")).to_be_visible()
        assert ulla.window.complaints == []


async def test_a_ride_is_not_left_unasked_and_who_has_ended_it_is_off_their_own_map(
    browser: Browser, served: Pair
) -> None:
    async with rider_at(browser, served.one.url, "viktor") as viktor:
        await viktor.sign_in()
        await viktor.start_ride(*STELVIO)
        await viktor.open_tab("Riders")
        await viktor.page.get_by_role("button", name="Show all riders").click()
        await eventually(lambda: rides_and_is_seen(viktor), timeout=60)
        await viktor.page.get_by_role("button", name="Sign out").click()
        question = viktor.page.get_by_role("dialog", name="Your ride is still being recorded")
        await question.get_by_role("button", name="Cancel").click()
        await viktor.open_tab("Record")
        await viktor.page.get_by_role("button", name="Stop ride").click()
        await viktor.open_tab("Riders")
        await expect(viktor.row_named("viktor")).to_be_hidden()
        await viktor.page.get_by_role("button", name="Sign out").click()
        await expect(viktor.page.get_by_label("Username or e-mail")).to_be_visible()
        assert viktor.window.complaints == []


async def rides_and_is_seen(rider: BrowserRider) -> bool:
    await rider.ride_on()
    return await rider.row_named("viktor").is_visible()
