"""A watcher: another phone, on another node, whose map follows one rider.

It moves its viewport before the rider leaves it (the harness knows where the rider goes next), and hands every position
of that rider to its Sight.
"""

import asyncio
import math
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

from loadtests.replay import protocol
from loadtests.replay.connection import Connection
from loadtests.replay.protocol import ConnectionLost, Refused
from loadtests.replay.sight import FrameReader, Sight

_MARGIN_DEGREES = 0.01
_LARGEST_SPAN_DEGREES = 0.4
_STEEPEST_LATITUDE = 85.0
_LONGEST_WAIT_SECONDS = 3.0


class View(NamedTuple):
    """A viewport in degrees; `west` may exceed `east`, across the antimeridian."""

    west: float
    south: float
    east: float
    north: float

    def holds(self, latitude: float, longitude: float) -> bool:
        """Whether the place is inside."""
        across = self.west > self.east
        within = (longitude >= self.west or longitude <= self.east) if across else self.west <= longitude <= self.east
        return within and self.south <= latitude <= self.north

    @property
    def zoom(self) -> int:
        """The zoom level at which a phone shows this much."""
        span = (self.east - self.west) % 360 or 360.0
        return max(0, min(20, round(math.log2(360 / span) + 1)))


def view_around(places: Iterable[tuple[float, float]]) -> View:
    """A viewport with a margin around the first place and those after it, as long as it stays small."""
    rest = iter(places)
    latitude, longitude = next(rest)
    narrowing = max(0.05, math.cos(math.radians(min(abs(latitude), _STEEPEST_LATITUDE))))
    south = north = 0.0
    west = east = 0.0
    for next_latitude, next_longitude in rest:
        up, right = next_latitude - latitude, math.remainder(next_longitude - longitude, 360.0)
        spans = max(north, up) - min(south, up), (max(east, right) - min(west, right)) * narrowing
        if max(spans) > _LARGEST_SPAN_DEGREES:
            break
        south, north, west, east = min(south, up), max(north, up), min(west, right), max(east, right)
    margin = _MARGIN_DEGREES / narrowing
    return View(
        math.remainder(longitude + west - margin, 360.0),
        max(-90.0, latitude + south - _MARGIN_DEGREES),
        math.remainder(longitude + east + margin, 360.0),
        min(90.0, latitude + north + _MARGIN_DEGREES),
    )


class Watcher:
    """Follows one rider. Its connection is made with `handlers()` and run by the owner."""

    def __init__(self) -> None:
        self.sight = Sight()
        self.rider: int | None = None
        self.refusals: list[str] = []
        self._frames = FrameReader()
        self._connection: Connection | None = None
        self._view: View | None = None
        self._viewed_in = 0

    def attach(self, connection: Connection) -> None:
        """Watch through this connection."""
        self._connection = connection

    async def wait_connected(self) -> None:
        """Return once its socket is open."""
        if self._connection is not None:
            await self._connection.wait_ready()

    def follow(self, rider: int) -> None:
        """Whose positions count: the short number of the rider."""
        self.rider = rider

    def watches(self, latitude: float, longitude: float) -> bool:
        """Whether the current connection's viewport holds the place."""
        connection = self._connection
        return (
            connection is not None
            and connection.ready is not None
            and self._viewed_in == connection.connects
            and self._view is not None
            and self._view.holds(latitude, longitude)
        )

    async def look_at(self, places: list[tuple[float, float]]) -> bool:
        """Have the first place in view, and those after it if they fit; False when that does not succeed soon."""
        if self.watches(*places[0]):
            return True
        connection = self._connection
        if connection is None or connection.ready is None:
            return False
        self.sight.tick = connection.ready.tick
        view = view_around(places)
        try:
            async with asyncio.timeout(_LONGEST_WAIT_SECONDS):
                connects = connection.connects
                answer = await connection.post(
                    protocol.MAP_WATCH,
                    {"bounds": [view.west, view.south, view.east, view.north], "zoom": view.zoom},
                )
                await answer
        except (ConnectionLost, TimeoutError):
            return False
        except Refused as refusal:
            self.refusals.append(str(refusal))
            return False
        self._view, self._viewed_in = view, connects
        return True

    def handlers(self) -> dict[str, Any]:
        """What the connection calls."""
        return {protocol.LOCATION_FRAME: self._frame}

    def _frame(self, frame: dict[str, Any]) -> None:
        now = time.monotonic()
        for rider, place, age in self._frames.read(frame):
            if rider == self.rider:
                self.sight.saw(place, age, now)
