"""Where simulated riders of a load test are: each goes round a bend of its own near a pass, at a rider's speed."""

import math
import random
from dataclasses import dataclass

METRES_PER_DEGREE = 111_320.0
PLACES = ((46.57, 8.41), (46.53, 10.45), (47.08, 12.84))
"""Furka, Stelvio and Grossglockner: latitude and longitude."""


@dataclass(frozen=True)
class Position:
    """Degrees, metres per second, and degrees from north."""

    latitude: float
    longitude: float
    speed: float
    heading: float


class Loop:
    """A circle of 300 to 900 m within two kilometres of a place, ridden at 10 to 25 m/s."""

    def __init__(self, place: tuple[float, float], chance: random.Random) -> None:
        self._latitude = place[0] + chance.uniform(-0.02, 0.02)
        self._longitude = place[1] + chance.uniform(-0.02, 0.02)
        self._radius = chance.uniform(300.0, 900.0)
        self._speed = chance.uniform(10.0, 25.0)
        self._phase = chance.uniform(0.0, math.tau)

    def at(self, seconds: float) -> Position:
        """The position after so many seconds on the road."""
        angle = self._phase + seconds * self._speed / self._radius
        north, east = self._radius * math.sin(angle), self._radius * math.cos(angle)
        return Position(
            round(self._latitude + north / METRES_PER_DEGREE, 6),
            round(self._longitude + east / METRES_PER_DEGREE / math.cos(math.radians(self._latitude)), 6),
            round(self._speed, 2),
            round(-math.degrees(angle) % 360.0, 1),
        )
