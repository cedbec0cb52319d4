"""A rider at the page: signs in through the form, rides along a straight road, and reads what the page shows."""

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, Locator, expect

from tests.e2e.browser.chromium import Window, window
from tests.e2e.browser.pixels import Blot, blot_of
from tests.e2e.phones import PASSWORD, register

SPEED = 22.0
"""Metres a second."""
_INTERVAL_SECONDS = 0.4
_METRES_PER_DEGREE = 111_195.0


class BrowserRider:
    """One rider in one window. Rides north-east at `SPEED` from the place where `ride` began, as time passes."""

    def __init__(self, opened: Window, url: str, name: str, number: int) -> None:
        self.window = opened
        self.page = opened.page
        self.url = url
        self.name = name
        self.number = number
        self._from = (0.0, 0.0)
        self._since = 0.0
        self._told = 0.0

    async def sign_in(self, password: str = PASSWORD) -> None:
        """Open the page and sign in by its form."""
        await self.page.goto(self.url)
        await self.sign_in_again(password)

    async def sign_in_again(self, password: str = PASSWORD) -> None:
        """Fill in the form that the page shows."""
        await self.page.get_by_label("Username or e-mail").fill(self.name)
        await self.page.get_by_label("Password").fill(password)
        await self.page.get_by_role("button", name="Sign in", exact=True).click()

    async def open_tab(self, name: str) -> None:
        await self.page.get_by_role("tab", name=name).click()

    async def start_ride(self, latitude: float, longitude: float) -> None:
        """Share with everyone and record, beginning at a place."""
        self._from, self._since = (latitude, longitude), time.monotonic()
        await self.ride_on()
        await self.open_tab("Record")
        everyone = self.page.get_by_role("radio", name="Everyone")
        await expect(everyone).to_be_enabled()  # the audience so far is known
        await everyone.click()
        await expect(everyone).to_be_checked()
        await self.page.get_by_role("button", name="Start ride").click()
        await self.page.get_by_role("button", name="Stop ride").wait_for()
        self._told = 0.0  # where the device was before is no part of the ride
        await self.ride_on()

    async def ride_on(self) -> None:
        """Be where the ride has come to by now, as often as a phone would say so."""
        now = time.monotonic()
        if now - self._told < _INTERVAL_SECONDS:
            return
        self._told = now
        away = SPEED * (now - self._since) / math.sqrt(2)
        latitude = self._from[0] + away / _METRES_PER_DEGREE
        longitude = self._from[1] + away / _METRES_PER_DEGREE / math.cos(math.radians(latitude))
        altitude = 1500 + 40 * math.sin(away / 50)
        await self.window.stand(latitude, longitude, speed=SPEED, heading=45, altitude=altitude)

    async def sees(self, other: "BrowserRider") -> Blot | None:
        """The pixels of the other rider's colour on this rider's map."""
        return await blot_of(self.page, other.number)

    def row_of(self, other: "BrowserRider") -> Locator:
        """The other rider's line in the list of riders."""
        return self.row_named(other.name)

    def row_named(self, name: str) -> Locator:
        """The line of the rider with this name."""
        return self.page.get_by_role("list", name="Riders in sight").get_by_role("button", name=name)

    async def shows(self, words: str) -> bool:
        """Whether words are visible somewhere on the page."""
        return await self.page.get_by_text(words).first.is_visible()


@asynccontextmanager
async def rider_at(browser: Browser, url: str, name: str, **more: Any) -> AsyncIterator[BrowserRider]:
    """A new rider with a window of their own, not signed in yet."""
    account = await register(url, name)
    async with window(browser, **more) as opened:
        yield BrowserRider(opened, url, name, account.rider)
