"""What the page shows of a rider's own: rides that are being computed, exports, and privacy zones."""

import re

import pytest
from playwright.async_api import Browser, Locator, Page, Request, Route, expect

from tests.e2e.browser.riders import BrowserRider, rider_at
from tests.e2e.browser.rides import gpx_of, import_file
from tests.e2e.phones import draw_zone, login
from tests.e2e.processes import Pair
from tests.support import eventually

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(300)]

POINTS = 600
WHERE_IT_BEGINS = (46.5, 10.4)


def rides_of(page: Page) -> Locator:
    return page.get_by_role("list", name="My rides").get_by_role("button")


async def test_a_ride_that_is_being_computed_keeps_its_row_its_focus_and_its_picture(
    browser: Browser, served: Pair
) -> None:
    async with rider_at(browser, served.one.url, "paula") as paula:
        page = paula.page
        asked: list[str] = []
        paula.window.network_may_fail = True  # an import is asked for until it is stored
        page.on("request", lambda request: asked.append(request.url))
        await page.route("**/v1/tracks?*", as_if_being_computed)
        await paula.sign_in()
        await paula.open_tab("My rides")
        await import_file(page, "loop.gpx", gpx_of(POINTS).encode())
        ride = rides_of(page)
        await expect(ride).to_contain_text("being computed…")
        await ride.focus()
        before = await ride.element_handle()
        await eventually(lambda: count(asked, "picture.svg") == 1, timeout=40)
        looks = count(asked, "/v1/tracks?")
        await eventually(lambda: count(asked, "/v1/tracks?") > looks, timeout=40)
        await expect(ride).to_be_focused()
        assert count(asked, "picture.svg") == 1
        await page.unroute_all(behavior="wait")
        await expect(ride).to_contain_text("km")
        await expect(ride).to_be_focused()
        assert await ride.evaluate("(now, before) => now === before", before)
        await eventually(lambda: count(asked, "picture.svg") == 2, timeout=40)  # of all of it
        assert paula.window.complaints == []


async def as_if_being_computed(route: Route) -> None:
    """The list as the server gives it while workers are busy."""
    answer = await route.fetch()
    page = await answer.json()
    for track in page["items"]:
        track.update(state="finished", figures=None)
    await route.fulfill(response=answer, json=page)


def count(urls: list[str], part: str) -> int:
    return sum(part in url for url in urls)


async def test_private_places_are_only_in_the_export_that_says_so(browser: Browser, served: Pair) -> None:
    async with rider_at(browser, served.one.url, "quirin") as quirin:
        await draw_zone(await login(served.one.url, "quirin"), *WHERE_IT_BEGINS, radius_metres=1000)
        quirin.window.network_may_fail = True  # an import is asked for until it is stored
        await quirin.sign_in()
        await quirin.open_tab("My rides")
        page = quirin.page
        await expect(page.get_by_text("up to 64 MiB each")).to_be_visible()
        await import_file(page, "loop.gpx", gpx_of(POINTS).encode())
        await expect(rides_of(page)).to_contain_text("km")  # computed: all of it is stored
        await rides_of(page).click()
        exports = page.get_by_role("region", name="Exports")
        name, shared = await exported(page, exports.get_by_role("button", name="Export GPX"))
        assert "private" not in name
        assert 0 < shared < POINTS
        whole = "Whole ride, with private places"
        name, points = await exported(page, exports.get_by_role("button", name=whole))
        assert "private" in name
        assert points == POINTS
        await page.get_by_role("button", name="Delete…").click()
        before_deletion = page.get_by_role("dialog").get_by_role("button", name=whole)
        assert await exported(page, before_deletion) == (name, points)
        assert quirin.window.complaints == []


async def exported(page: Page, button: Locator) -> tuple[str, int]:
    """The name of the file that a button saves, and how many points are in it."""
    async with page.expect_download() as download:
        await button.click()
    file = await download.value
    return file.suggested_filename, (await file.path()).read_text("utf-8").count("<trkpt")


async def test_a_privacy_zone_is_drawn_listed_and_deleted(browser: Browser, served: Pair) -> None:
    async with rider_at(browser, served.one.url, "rosa") as rosa:
        page = rosa.page
        await rosa.window.stand(46.6, 10.5)
        await rosa.sign_in()
        await rosa.open_tab("Record")
        zones = page.get_by_role("region", name="Privacy zones")
        await expect(zones).to_contain_text("You have no zone yet.")
        await zones.get_by_role("button", name="Add a zone…").click()
        await page.get_by_role("textbox", name="Name").fill("Granny's")
        await zones.get_by_role("button", name="Go to where I am").click()
        await eventually(lambda: is_near(rosa, 46.6, 10.5), timeout=40)
        await zones.get_by_role("slider", name="Radius").fill("450")
        await expect(zones).to_contain_text("450 m")
        sent = await sent_by(page, zones.get_by_role("button", name="Save zone"))
        assert sent["latitude"] == pytest.approx(46.6, abs=1e-4)
        assert sent["longitude"] == pytest.approx(10.5, abs=1e-4)
        assert sent["radius_metres"] == 450
        listed = zones.get_by_role("list", name="Privacy zones").get_by_role("listitem")
        await expect(listed).to_have_text(re.compile("Granny's.*450 m"))
        await eventually(lambda: drawn(page, ["Granny's"]), timeout=40)
        await page.reload()
        await rosa.open_tab("Record")
        await expect(listed).to_have_count(1)
        await eventually(lambda: drawn(page, ["Granny's"]), timeout=40)
        await zones.get_by_role("button", name="Delete the zone Granny's").click()
        await page.get_by_role("dialog").get_by_role("button", name="Delete", exact=True).click()
        await expect(zones).to_contain_text("You have no zone yet.")
        await eventually(lambda: drawn(page, []), timeout=40)
        assert rosa.window.complaints == []


async def is_near(rider: BrowserRider, latitude: float, longitude: float) -> bool:
    view = await rider.page.evaluate("__throttlecove.idle() ? __throttlecove.view() : null")
    return view is not None and abs(view["latitude"] - latitude) + abs(view["longitude"] - longitude) < 1e-4


async def sent_by(page: Page, button: Locator) -> dict[str, float]:
    """The body of the zone that a button posts."""

    def is_zone(request: Request) -> bool:
        return request.method == "POST" and request.url.endswith("/v1/users/zones")

    async with page.expect_request(is_zone) as sent:
        await button.click()
    return dict((await sent.value).post_data_json or {})


async def drawn(page: Page, names: list[str]) -> bool:
    """Whether the map shows the zones with these names, and no other."""
    return bool(await page.evaluate("__throttlecove.zones()") == names)


async def test_what_is_wrong_with_a_zone_is_said(browser: Browser, served: Pair) -> None:
    async with rider_at(browser, served.one.url, "selma") as selma:
        await selma.sign_in()
        await selma.open_tab("Record")
        zones = selma.page.get_by_role("region", name="Privacy zones")
        await zones.get_by_role("button", name="Add a zone…").click()
        alert = zones.get_by_role("alert")
        await zones.get_by_role("button", name="Save zone").click()
        await expect(alert).to_contain_text("name")
        await selma.page.get_by_role("textbox", name="Name").fill("Everywhere")
        for _ in range(3):
            await selma.page.get_by_role("button", name="Zoom out").click()
        await zones.get_by_role("button", name="Save zone").click()
        await expect(alert).to_contain_text("Zoom in")
        await selma.page.keyboard.press("Escape")
        await expect(zones.get_by_role("button", name="Add a zone…")).to_be_visible()
        assert selma.window.complaints == []
