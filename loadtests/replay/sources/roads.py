"""Roads that are made up, and how a motorcycle rides them: bends limit the speed, receivers are noisy, riders rest.

A road is a sequence of straights and arcs. Speed along it follows from the bends (sideways acceleration), and from what
a rider brakes and accelerates; positions are sampled once a second with correlated noise. Same seed, same ride.
"""

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loadtests.replay.sources.tracks import Point

Floats = npt.NDArray[np.float64]

_STEP_METRES = 5.0
_SIDEWAYS = 4.5  # m/s² in bends: brisk, with a margin
_BRAKING = 3.5  # m/s²
_ACCELERATING = 2.5  # m/s²
_SLOWEST = 3.0  # m/s in hairpins
_CRAWLING = 1.0  # m/s on the way into and out of a rest
_TOP_SPEEDS = (14.0, 25.0, 28.0, 36.0)  # m/s: town, country, country, motorway
_NOISE_METRES = 2.5
_NOISE_MEMORY = 0.95  # of one second's error in the next
_METRES_PER_DEGREE = 111_320.0
_GRAVITY = 9.81

REGIONS: tuple[tuple[float, float], ...] = (
    (46.53, 10.45), (44.16, 6.42), (47.08, 12.84), (42.62, 0.65), (36.74, -3.85), (57.40, -5.47), (61.05, 7.79),
    (45.60, 24.62), (35.47, -83.92), (36.27, -121.80), (39.11, -108.65), (-33.90, 18.80), (-43.57, 170.12),
    (-37.56, 145.88), (35.36, 138.73), (32.24, 77.19), (20.90, 105.20), (-22.95, -43.20),
)  # fmt: skip
"""Centres (latitude, longitude) of places that riders go to, on six continents."""


@dataclass(frozen=True, slots=True)
class Area:
    """Where riders stay: a centre in degrees and a radius in metres."""

    latitude: float
    longitude: float
    radius_metres: float


def areas_worldwide(radius_metres: float) -> tuple[Area, ...]:
    """One area in each region."""
    return tuple(Area(latitude, longitude, radius_metres) for latitude, longitude in REGIONS)


class Rider:
    """Rides on and on: each call of `ride` continues where the one before ended."""

    def __init__(self, area: Area, seed: int) -> None:
        self._area = area
        self._random = Random(seed)
        self._noise = np.random.default_rng(seed)
        away = area.radius_metres * math.sqrt(self._random.random())
        bearing = self._random.uniform(0, 2 * math.pi)
        self._east, self._north = away * math.sin(bearing), away * math.cos(bearing)
        self._heading = self._random.uniform(0, 2 * math.pi)

    def ride(self, seconds: int, began_ms: int) -> list[Point]:
        """A ride of `seconds`, one point a second, the first at `began_ms`."""
        top_speed = self._random.choice(_TOP_SPEEDS)
        curvature = self._curvature(seconds * top_speed)
        rests = self._rests(len(curvature), top_speed)
        speeds = _speed_profile(curvature, top_speed, rests)
        return self._points(curvature, _distance_each_second(speeds, rests, seconds), began_ms)

    def _curvature(self, metres: float) -> Floats:
        """Signed curvature (1/m, left negative) at every step of a road of at least `metres`."""
        pieces: list[Floats] = []
        steps = math.ceil(metres / _STEP_METRES) + 2
        total, heading, east, north = 0, self._heading, self._east, self._north
        while total < steps:
            piece = self._piece(heading, east, north)
            headings = heading + np.cumsum(piece) * _STEP_METRES
            east += float(np.sin(headings).sum()) * _STEP_METRES
            north += float(np.cos(headings).sum()) * _STEP_METRES
            heading = float(headings[-1])
            pieces.append(piece)
            total += len(piece)
        return np.concatenate(pieces)[:steps]

    def _piece(self, heading: float, east: float, north: float) -> Floats:
        """The next straight or bend; beyond the radius bends turn towards the centre."""
        random = self._random
        if random.random() < 0.4:
            return np.zeros(max(1, int(random.uniform(60, 900) / _STEP_METRES)))
        radius = random.choice((15.0, 40.0, 80.0, 150.0, 300.0, 600.0))
        angle = random.uniform(0.3, 1.6)
        side = random.choice((-1.0, 1.0))
        if math.hypot(east, north) > self._area.radius_metres:
            homewards = math.remainder(math.atan2(-east, -north) - heading, 2 * math.pi)
            side, angle = math.copysign(1.0, homewards), abs(homewards) + 0.1
        steps = max(2, round(radius * angle / _STEP_METRES))
        return np.full(steps, side * angle / (steps * _STEP_METRES))

    def _rests(self, steps: int, top_speed: float) -> dict[int, int]:
        """Where the rider stops, and for how many seconds: fuel, red lights, a photograph."""
        rests: dict[int, int] = {}
        step = 0
        while (step := step + int(self._random.uniform(120, 900) * top_speed / 2 / _STEP_METRES)) < steps:
            rests[step] = self._random.choice((20, 30, 45, 240))
        return rests

    def _points(self, curvature: Floats, travelled: Floats, began_ms: int) -> list[Point]:
        headings = self._heading + np.concatenate(([0.0], np.cumsum(curvature[:-1]) * _STEP_METRES))
        easts = self._east + np.cumsum(np.sin(headings)) * _STEP_METRES
        norths = self._north + np.cumsum(np.cos(headings)) * _STEP_METRES
        at = travelled / _STEP_METRES
        steps = np.arange(len(curvature), dtype=np.float64)
        east, north, heading = (np.interp(at, steps, values) for values in (easts, norths, headings))
        speed = np.gradient(travelled) if len(travelled) > 1 else np.zeros(len(travelled))
        bend = np.interp(at, steps, curvature)
        self._east, self._north, self._heading = float(east[-1]), float(north[-1]), float(heading[-1])
        noise = _drift(self._noise, len(travelled))
        columns = (east + noise[0], north + noise[1], heading, speed, bend)
        states = zip(*(column.tolist() for column in columns), strict=True)
        return [self._point(began_ms + index * 1000, _State(*state)) for index, state in enumerate(states)]

    def _point(self, timestamp: int, state: "_State") -> Point:
        east, north, heading, speed, bend = state
        latitude = self._area.latitude + north / _METRES_PER_DEGREE
        narrowing = max(0.01, math.cos(math.radians(self._area.latitude)))
        longitude = self._area.longitude + east / (_METRES_PER_DEGREE * narrowing)
        measured = max(0.0, speed + self._random.gauss(0, 0.1)) if speed > 0.1 else 0.0
        return Point(
            timestamp,
            round(latitude, 7),
            round(math.remainder(longitude, 360.0), 7),
            altitude=round(600 + 250 * math.sin(east / 4_000) * math.cos(north / 5_000), 1),
            accuracy=round(self._random.uniform(3.0, 9.0), 1),
            speed=round(measured, 2),
            heading=round(math.degrees(heading) % 360.0, 1) % 360.0,
            lean=round(math.degrees(math.atan(speed * speed * bend / _GRAVITY)), 1),
        )


class _State(NamedTuple):
    """One moment: metres east and north of the centre, radians clockwise from north, m/s, curvature in 1/m."""

    east: float
    north: float
    heading: float
    speed: float
    bend: float


def _speed_profile(curvature: Floats, top_speed: float, rests: Iterable[int]) -> Floats:
    """Metres per second at every step: as bends and rests allow, reached by braking and accelerating within bounds."""
    allowed = np.sqrt(_SIDEWAYS / np.maximum(np.abs(curvature), _SIDEWAYS / top_speed**2))
    speeds = np.maximum(allowed, _SLOWEST)
    speeds[list(rests)] = _CRAWLING
    for index in range(len(speeds) - 2, -1, -1):
        speeds[index] = min(speeds[index], math.sqrt(speeds[index + 1] ** 2 + 2 * _BRAKING * _STEP_METRES))
    for index in range(1, len(speeds)):
        speeds[index] = min(speeds[index], math.sqrt(speeds[index - 1] ** 2 + 2 * _ACCELERATING * _STEP_METRES))
    return speeds


def _distance_each_second(speeds: Floats, rests: Mapping[int, int], seconds: int) -> Floats:
    """Metres travelled at seconds 0, 1, 2, …; a rest holds the distance for its length."""
    metres = np.arange(len(speeds)) * _STEP_METRES
    clock = np.concatenate(([0.0], np.cumsum(_STEP_METRES / speeds[:-1])))
    at = list(rests)
    waits = np.zeros(len(speeds))
    waits[at] = [rests[step] for step in at]
    arrivals = clock + np.cumsum(waits) - waits
    # Arriving and leaving are two moments at the same place.
    moments = np.insert(arrivals, np.array(at, dtype=np.int64) + 1, arrivals[at] + waits[at])
    places = np.insert(metres, np.array(at, dtype=np.int64) + 1, metres[at])
    return np.asarray(np.interp(np.arange(seconds, dtype=np.float64), moments, places), dtype=np.float64)


def _drift(noise: np.random.Generator, count: int) -> Floats:
    """A receiver's error east and north in metres: it wanders, and does not jump."""
    kicks = noise.normal(0.0, _NOISE_METRES * math.sqrt(1 - _NOISE_MEMORY**2), (2, count))
    for index in range(1, count):
        kicks[:, index] += _NOISE_MEMORY * kicks[:, index - 1]
    return np.asarray(kicks, dtype=np.float64)


def riders(areas: tuple[Area, ...], count: int, seed: int) -> Iterator[Rider]:
    """`count` riders spread over the areas in turn, each with its own seed."""
    for index in range(count):
        yield Rider(areas[index % len(areas)], seed * 1_000_003 + index)
