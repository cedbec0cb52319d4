"""The figures of a track: distance, times, ascent, speeds and stops, over the fixes that count."""

import msgspec
import numpy as np

from geo import geodesics
from geo.ascent import climb
from geo.fix import IMPLAUSIBLE, Flag
from geo.moving import measure
from geo.steps import Steps
from geo.stops import Stop, find_stops
from geo.track import FlagArray, TrackArrays


class TrackStatistics(msgspec.Struct, frozen=True):
    """What is known of a whole track. Metres, seconds, metres per second; counts of all fixes and of flagged ones."""

    distance_metres: float
    duration_seconds: float
    moving_seconds: float
    stopped_seconds: float
    ascent_metres: float
    descent_metres: float
    max_speed: float
    average_speed: float
    stops: list[Stop]
    fixes: int
    implausible: int
    standing: int
    repeated: int


def summarise(track: TrackArrays, flags: FlagArray) -> TrackStatistics:
    """The statistics of a track with its final flags, shape (n,), both in (timestamp, seq) order.

    The distance is the geodesic sum over the unflagged fixes, gaps included. Times are also measured over standing
    fixes. `max_speed` and `average_speed` are those of the time under way.
    """
    counted = track.take(flags == 0)
    present = (flags == 0) | (flags == Flag.STANDING)
    timed, standing = track.take(present), flags[present] == Flag.STANDING
    steps = Steps.of(timed)
    times = measure(steps, standing)
    ascent, descent = climb(counted.altitude)
    return TrackStatistics(
        distance_metres=geodesics.length(counted.latitude, counted.longitude),
        duration_seconds=times.duration,
        moving_seconds=times.moving,
        stopped_seconds=times.stopped,
        ascent_metres=ascent,
        descent_metres=descent,
        max_speed=times.max_speed,
        average_speed=times.moving_metres / times.moving if times.moving else 0.0,
        stops=find_stops(timed, steps),
        fixes=len(track),
        implausible=int(np.count_nonzero(flags & IMPLAUSIBLE)),
        standing=int(np.count_nonzero(flags & Flag.STANDING)),
        repeated=int(np.count_nonzero(flags & Flag.REPEATED)),
    )
