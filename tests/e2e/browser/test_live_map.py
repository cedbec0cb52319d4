"""The live map in a real browser: riders in their own windows, on two nodes that are killed meanwhile."""

import re
from typing import Any

import pytest
from playwright.async_api import Browser, Route, expect

from tests.e2e.browser.chromium import WITHOUT_WEBGL, chromium, window
from tests.e2e.browser.pixels import Blot
from tests.e2e.browser.riders import BrowserRider, rider_at
from tests.e2e.browser.rides import gpx_of, import_file
from tests.e2e.processes import Node, Pair
from tests.support import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

STELVIO = (46.53, 10.45)
NEARBY = (46.533, 10.452)
LOOK_SECONDS = 0.1
"""From one look at the map's pixels to the next: looking keeps the page from painting."""


async def riding(*riders: BrowserRider, until: Any, timeout: float = 60) -> Any:
    """Let riders ride until a condition holds; its value."""

    async def ride_and_look() -> Any:
        for rider in riders:
            await rider.ride_on()
        return await until()

    return await eventually(ride_and_look, timeout=timeout, every=LOOK_SECONDS)


async def is_live(rider: BrowserRider) -> bool:
    return await rider.page.locator(".status[data-state=live]").count() == 1


async def test_two_riders_on_two_nodes_see_each_other_move_and_a_cut_heals(browser: Browser, served: Pair) -> None:
    async with (
        rider_at(browser, served.one.url, "anna", width=800, height=500) as anna,
        # Without a graphics card each frame costs; one window that is animated is enough for what is looked at.
        rider_at(browser, served.two.url, "ben", width=800, height=500, motion="reduce") as ben,
    ):
        for rider, place in ((anna, STELVIO), (ben, NEARBY)):
            await rider.sign_in()
            await rider.start_ride(*place)
            await rider.open_tab("Riders")
        await each_sees_the_other_move(anna, ben)
        await a_followed_rider_leaves_a_trail(anna, ben)
        await a_killed_node_is_come_back_to(anna, ben, served.one)
        await own_ride_is_in_my_rides(ben)
        assert anna.window.complaints == []
        assert ben.window.complaints == []


async def each_sees_the_other_move(anna: BrowserRider, ben: BrowserRider) -> None:
    for rider, other in ((anna, ben), (ben, anna)):
        await riding(anna, ben, until=rider.row_of(other).is_visible)
        await riding(anna, ben, until=lambda rider=rider, other=other: rider.sees(other))
    await anna.page.get_by_role("button", name="Show all riders").click()
    first = await at_rest(anna, ben)
    assert first.count > 100

    async def has_moved() -> bool:
        now = await anna.sees(ben)
        return now is not None and now.x - first.x > 5 and first.y - now.y > 5  # north-east is right and up

    await riding(ben, until=has_moved)


async def at_rest(anna: BrowserRider, ben: BrowserRider) -> Blot:
    """What anna sees of ben, when neither he nor the camera moves."""
    seen: list[Blot | None] = []

    async def the_same() -> Blot | None:
        seen.append(await anna.sees(ben))
        return seen[-1] if len(seen) > 10 and len(set(seen[-10:])) == 1 else None

    return await eventually(the_same, timeout=60, every=LOOK_SECONDS)


async def a_followed_rider_leaves_a_trail(anna: BrowserRider, ben: BrowserRider) -> None:
    await anna.row_of(ben).click()
    await expect(anna.page.get_by_role("region", name="Followed rider")).to_contain_text("ben")

    async def trail() -> bool:
        now = await anna.sees(ben)
        return now is not None and now.reach > 80  # the dot is less than 40 across

    await riding(anna, ben, until=trail)


async def a_killed_node_is_come_back_to(anna: BrowserRider, ben: BrowserRider, node: Node) -> None:
    anna.window.network_may_fail = True
    node.kill()
    await riding(anna, ben, until=lambda: anna.shows("Reconnecting"))
    node.start()
    await riding(anna, ben, until=lambda: is_live(anna), timeout=90)
    anna.window.network_may_fail = False
    followed = anna.page.get_by_role("region", name="Followed rider")

    async def fresh() -> bool:
        return "now" in await followed.inner_text()

    await riding(anna, ben, until=fresh)
    await riding(anna, ben, until=lambda: is_sent(anna))


async def is_sent(rider: BrowserRider) -> bool:
    """Whether nothing that was recorded during the cut is still waiting."""
    await rider.open_tab("Record")
    return await rider.shows("Every position is safe with the server.")


async def own_ride_is_in_my_rides(rider: BrowserRider) -> None:
    await rider.open_tab("Record")
    await rider.page.get_by_role("button", name="Stop ride").click()
    await rider.open_tab("My rides")
    row = rider.page.get_by_role("list", name="My rides").get_by_role("button")
    await expect(row).to_contain_text(re.compile(r"\d+ m|\d\.\d km"))
    await row.click()
    figures = rider.page.get_by_label("Figures")
    await expect(figures).to_contain_text(re.compile(r"Average\s*\d\d km/h"))
    profile = rider.page.get_by_role("slider", name="Place along the ride")
    await profile.press("End")
    await expect(profile).to_have_attribute("aria-valuetext", re.compile(r"1,[45]\d\d m · \d\d km/h$"))
    await rider.page.get_by_text("Profile as a table").click()
    await expect(rider.page.get_by_role("columnheader", name="Elevation")).to_be_visible()


async def test_a_ride_is_exported_deleted_and_imported_again(browser: Browser, served: Pair) -> None:
    async with rider_at(browser, served.two.url, "carla") as carla:
        await carla.sign_in()
        await carla.open_tab("My rides")
        page = carla.page
        rides = page.get_by_role("list", name="My rides").get_by_role("button")
        await import_file(page, "loop.gpx", gpx_of(600).encode())
        await expect(page.get_by_text("loop.gpx: one ride with 600 points")).to_be_visible()
        await import_file(page, "photo.gpx", b"\x89PNG not a track")
        await expect(page.locator(".is-error")).to_contain_text("photo.gpx: ")
        await expect(rides).to_have_count(1)
        await expect(rides).to_contain_text("km")  # computed: all of it is stored
        await rides.click()
        async with page.expect_download() as download:
            await page.get_by_role("button", name="Export GPX").click()
        exported = await (await download.value).path()
        await page.get_by_role("button", name="Delete…").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        await expect(page.get_by_text("No rides yet.")).to_be_visible()
        await expect(page.get_by_role("heading", name="My rides")).to_be_focused()
        await page.get_by_role("button", name="Close the message about photo.gpx").click()
        await expect(page.get_by_text("photo.gpx")).to_be_hidden()
        await import_file(page, "again.gpx", exported.read_bytes())
        await expect(page.get_by_text("again.gpx: one ride with 600 points")).to_be_visible()
        carla.window.complaints[:] = [one for one in carla.window.complaints if "status of 4" not in one]
        assert carla.window.complaints == []


async def test_a_wrong_password_is_said_and_can_be_corrected(browser: Browser, served: Pair) -> None:
    async with rider_at(browser, served.one.url, "dora") as dora:
        dora.window.network_may_fail = True  # the refusal itself is a line in the console
        await dora.sign_in(password="not her password")
        await expect(dora.page.get_by_role("alert")).to_contain_text("do not match")
        dora.window.network_may_fail = False
        await dora.sign_in()
        await eventually(lambda: is_live(dora), timeout=40)
        assert dora.window.complaints == []


async def test_without_webgl2_the_page_says_so(served: Pair) -> None:
    async with chromium(*WITHOUT_WEBGL) as without, rider_at(without, served.one.url, "emil") as emil:
        await emil.page.goto(emil.url)
        await expect(emil.page.get_by_text("WebGL").first).to_be_visible()


async def test_the_reference_needs_nobody_else_and_breaks_no_policy(browser: Browser, served: Pair) -> None:
    elsewhere = []

    async def guard(route: Route) -> None:
        if route.request.url.startswith((served.one.url, "data:")):
            await route.continue_()
        else:
            elsewhere.append(route.request.url)
            await route.abort()

    async with window(browser) as reader:
        await reader.context.route("**/*", guard)
        await reader.page.goto(f"{served.one.url}/docs")
        operation = reader.page.locator("[id='operations-auth-login_v1_auth_login_post']")
        await operation.click()
        await operation.get_by_role("button", name="Try it out").wait_for()
        assert elsewhere == []
        assert reader.complaints == []
