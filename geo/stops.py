"""Stops: where a rider stayed within 200 m for three minutes or more."""

import msgspec
import numpy as np

from geo.stays import stays
from geo.steps import Steps
from geo.track import TrackArrays

STOP_METRES = 200.0
"""A stop stays within this distance of where it began (Traccar)."""
STOP_SECONDS = 180.0
"""A stop lasts at least this long; its start is dated back to its first fix (Traccar)."""


class Stop(msgspec.Struct, frozen=True):
    """One stop: times in milliseconds since the epoch, the middle of its fixes in degrees."""

    began_ms: int
    ended_ms: int
    latitude: float
    longitude: float


def find_stops(track: TrackArrays, steps: Steps) -> list[Stop]:
    """The stops of a track whose fixes are all plausible, in order; `steps` are the same fixes."""
    radius = np.full(len(track), STOP_METRES)
    return [_stop(track, start, end) for start, end in stays(steps.seconds, steps.points, radius, STOP_SECONDS)]


def _stop(track: TrackArrays, start: int, end: int) -> Stop:
    latitudes, longitudes = track.latitude[start : end + 1], track.longitude[start : end + 1]
    turns = (longitudes - longitudes[0] + 180.0) % 360.0 - 180.0  # the short way, also across the antimeridian
    longitude = (longitudes[0] + float(np.median(turns)) + 180.0) % 360.0 - 180.0
    return Stop(int(track.timestamp[start]), int(track.timestamp[end]), float(np.median(latitudes)), float(longitude))
