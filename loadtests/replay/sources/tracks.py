"""A recorded track as replay sees it: the points of a file, and the fixes made of those that have a time.

Numbers are the file's own; nothing is rounded, sorted or filtered, and only times that count from the start of the ride
are given a day, because no ride was recorded in 1970. `seq` counts the sent fixes in file order, from 0.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from pyproj import Geod

_WGS84 = Geod(ellps="WGS84")
EARLIEST_MS = 946_684_800_000
"""2000-01-01 UTC in epoch milliseconds; nobody has recorded a ride before."""
_CREDIBLE_RATIO = 3.0
_MOVING_METRES_PER_SECOND = 2.0


class NotATrack(Exception):
    """The file holds no track that can be ridden; the message says why."""


class Point(NamedTuple):
    """One point of a file: time in epoch milliseconds (None: it has none), degrees, metres, metres per second."""

    timestamp: int | None
    latitude: float
    longitude: float
    altitude: float | None = None
    accuracy: float | None = None
    speed: float | None = None
    heading: float | None = None
    lean: float | None = None


class Fix(NamedTuple):
    """What is sent for one point; the units of the live contract."""

    seq: int
    timestamp: int
    latitude: float
    longitude: float
    altitude: float | None = None
    accuracy: float | None = None
    speed: float | None = None
    heading: float | None = None
    lean: float | None = None

    def payload(self) -> dict[str, int | float]:
        """The `fix` object of `location:update`, without the fields that have no value."""
        return {name: value for name, value in self._asdict().items() if value is not None}


@dataclass(frozen=True, slots=True)
class Track:
    """A named track and what of its file could not be sent."""

    name: str
    fixes: tuple[Fix, ...]
    without_time: int = 0
    unreadable: int = 0
    notes: tuple[str, ...] = field(default=())


def track_of(name: str, points: Iterable[Point], unreadable: int = 0, notes: tuple[str, ...] = ()) -> Track:
    """The track of a file's points: those with a time become fixes, the others are counted."""
    fixes: list[Fix] = []
    without_time = 0
    for point in points:
        if point.timestamp is None:
            without_time += 1
            continue
        fixes.append(_fix(len(fixes), point.timestamp, point))
    if any(fix.speed is not None for fix in fixes) and not _speeds_are_doppler(fixes):
        fixes = [fix._replace(speed=None) for fix in fixes]
        notes = (*notes, "its speed column disagrees with its positions and is not sent")
    if fixes and max(fix.timestamp for fix in fixes) < EARLIEST_MS:
        fixes = [fix._replace(timestamp=fix.timestamp + EARLIEST_MS) for fix in fixes]
        notes = (*notes, "its times count from 1970, as route planners write them, and are sent as of 2000")
    return Track(name, tuple(fixes), without_time, unreadable, notes)


def _fix(seq: int, timestamp: int, point: Point) -> Fix:
    return Fix(
        seq,
        timestamp,
        point.latitude,
        point.longitude,
        _within(point.altitude, -1_000.0, 50_000.0),
        _within(point.accuracy, 0.0, 1e7),
        _within(point.speed, 0.0, 1_000.0),
        _within(point.heading, 0.0, 360.0),
        _within(point.lean, -90.0, 90.0),
    )


def _within(value: float | None, low: float, high: float) -> float | None:
    """A phone leaves out an optional value that makes no sense, rather than losing the whole fix."""
    return value if value is not None and low <= value <= high else None


def _speeds_are_doppler(fixes: list[Fix]) -> bool:
    """Whether the reported speeds are metres per second: like the speeds between the points, by the median.

    Files with km/h, knots, or a constant zero would otherwise make every fix contradict its own receiver.
    """
    times = np.array([fix.timestamp for fix in fixes]) / 1000
    steps = np.diff(times)
    reported = np.array([np.nan if fix.speed is None else fix.speed for fix in fixes])[1:]
    lengths = step_lengths([fix.latitude for fix in fixes], [fix.longitude for fix in fixes])
    implied = np.divide(lengths, steps, out=np.full(len(steps), np.nan), where=steps > 0)
    moving = implied > _MOVING_METRES_PER_SECOND
    if not moving.any() or np.isnan(reported[moving]).all():
        return True
    ratio = float(np.nanmedian(reported[moving] / implied[moving]))
    return 1 / _CREDIBLE_RATIO < ratio < _CREDIBLE_RATIO


def number(text: str | None) -> float | None:
    """A finite number, or None."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def step_lengths(latitudes: npt.ArrayLike, longitudes: npt.ArrayLike) -> npt.NDArray[np.float64]:
    """Geodesic metres (WGS84) between consecutive points: one fewer than there are points."""
    latitude = np.asarray(latitudes, dtype=np.float64)
    longitude = np.asarray(longitudes, dtype=np.float64)
    if len(latitude) < 2:
        return np.zeros(0)
    _, _, metres = _WGS84.inv(longitude[:-1], latitude[:-1], longitude[1:], latitude[1:])
    return np.asarray(metres, dtype=np.float64)
