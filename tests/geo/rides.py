"""Made rides for tests: smooth roads at known speeds, and the faults that receivers and clocks add to them."""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from geo.geodesics import FloatArray, destination
from geo.track import IntArray, TrackArrays

START_MS = 1_750_000_000_000
METRES_PER_DEGREE = 111_195.0


@dataclass(frozen=True)
class Ride:
    """What a phone recorded, in order of recording; `seq` is the position unless it says otherwise."""

    timestamp: IntArray
    latitude: FloatArray
    longitude: FloatArray
    seq: IntArray
    speed: FloatArray | None = None

    def __len__(self) -> int:
        return len(self.timestamp)

    def track(self, **optional: Any) -> TrackArrays:
        columns = {"speed": self.speed, **optional}
        return TrackArrays.from_columns(self.seq, self.timestamp, self.latitude, self.longitude, **columns)

    def moved(self, which: slice | list[int], metres: float, azimuth: float = 60.0) -> "Ride":
        """Some fixes as far away, all in one direction."""
        latitude, longitude = self.latitude.copy(), self.longitude.copy()
        for position in np.arange(len(self))[which]:
            latitude[position], longitude[position] = destination(
                latitude[position], longitude[position], azimuth, metres
            )
        return replace(self, latitude=latitude, longitude=longitude)

    def clock(self, which: slice | list[int], seconds: float) -> "Ride":
        """Some fixes with the clock ahead (behind if negative) by so much."""
        timestamp = self.timestamp.copy()
        timestamp[which] += round(seconds * 1000)
        return replace(self, timestamp=timestamp)

    def noisy(self, metres: float, decimals: int | None = None, seed: int = 1) -> "Ride":
        """White noise on every fix, and coordinates rounded to so many decimals."""
        random = np.random.default_rng(seed)
        latitude = self.latitude + random.normal(0, metres, len(self)) / METRES_PER_DEGREE
        longitude = self.longitude + random.normal(0, metres, len(self)) / METRES_PER_DEGREE / _shrink(self.latitude)
        if decimals is not None:
            latitude, longitude = latitude.round(decimals), longitude.round(decimals)
        return replace(self, latitude=latitude, longitude=longitude)

    def head(self, count: int) -> "Ride":
        speed = None if self.speed is None else self.speed[:count]
        return Ride(self.timestamp[:count], self.latitude[:count], self.longitude[:count], self.seq[:count], speed)


def ride(
    seconds: float = 1200.0,
    *,
    rate_hz: float = 1.0,
    speed: float = 20.0,
    latitude: float = 47.0,
    longitude: float = 8.0,
    doppler: bool = False,
    seed: int = 0,
    circle_seconds: float = math.inf,
) -> Ride:
    """A winding ride at one speed (metres per second), without noise; round and round for long ones."""
    count = round(seconds * rate_hz) + 1
    elapsed = np.arange(count) / rate_hz
    heading = (
        0.6
        + 2 * math.pi * elapsed / circle_seconds
        + 0.8 * np.sin(elapsed / 47.0 + seed)
        + 0.3 * np.sin(elapsed / 13.0)
    )
    step = speed / rate_hz / METRES_PER_DEGREE
    latitudes = latitude + np.concatenate(([0.0], np.cumsum(step * np.cos(heading[:-1]))))
    longitudes = longitude + np.concatenate(([0.0], np.cumsum(step * np.sin(heading[:-1])))) / _shrink(latitudes)
    times = START_MS + np.round(elapsed * 1000).astype(np.int64)
    speeds = np.full(count, speed) if doppler else None
    return Ride(times, latitudes, longitudes, np.arange(count), speeds)


def then(first: Ride, second: Ride, *, pause_seconds: float = 1.0) -> Ride:
    """Two rides in one recording, the second after a pause."""
    shift = first.timestamp[-1] - second.timestamp[0] + round(pause_seconds * 1000)
    speed = None if first.speed is None or second.speed is None else np.concatenate((first.speed, second.speed))
    return Ride(
        np.concatenate((first.timestamp, second.timestamp + shift)),
        np.concatenate((first.latitude, second.latitude)),
        np.concatenate((first.longitude, second.longitude)),
        np.arange(len(first) + len(second)),
        speed,
    )


def stand(at: Ride, seconds: float, *, rate_hz: float = 1.0, jitter_metres: float = 3.0, seed: int = 2) -> Ride:
    """Standing where a ride ended, with a receiver that wanders."""
    count = round(seconds * rate_hz)
    random = np.random.default_rng(seed)
    wander = np.clip(random.normal(0, jitter_metres, (2, count)), -2.5 * jitter_metres, 2.5 * jitter_metres)
    return Ride(
        START_MS + np.round(np.arange(count) / rate_hz * 1000).astype(np.int64),
        at.latitude[-1] + wander[0] / METRES_PER_DEGREE,
        at.longitude[-1] + wander[1] / METRES_PER_DEGREE / _shrink(at.latitude[-1:]),
        np.arange(count),
        None if at.speed is None else np.zeros(count),
    )


def _shrink(latitudes: FloatArray) -> FloatArray:
    return np.cos(np.radians(latitudes))
