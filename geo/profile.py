"""Elevation and speed along a track, for a chart: as few points as wanted, with every summit and every top speed."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from geo import geodesics
from geo.geodesics import FloatArray
from geo.steps import Steps
from geo.track import BoolArray, IntArray, TrackArrays

_SPEED_SECONDS = 5.0
"""Where the phone gave no speed, it is that over so many seconds: over one, jitter of the receiver is as fast."""
_KEPT_OF_BUCKET = 4
"""Lowest and highest altitude, lowest and highest speed."""


@dataclass(frozen=True)
class Profile:
    """Points along a track, arrays of one length: milliseconds since the epoch, metres from the start, metres, m/s.

    NaN where a value is unknown. `starts` marks points that no line joins to the one before.
    """

    timestamp: IntArray
    distance: FloatArray
    altitude: FloatArray
    speed: FloatArray
    starts: BoolArray


def profile(track: TrackArrays, starts: BoolArray, hidden_before: BoolArray, most_points: int) -> Profile:
    """The profile of n fixes that count, with at most `most_points` (at least 6) of them.

    `starts` marks fixes that begin a part, `hidden_before` those before which something was left out: the way there is
    not part of the distance. Of every stretch the extremes of altitude and speed stay, and the ends of the track.
    """
    metres = geodesics.distances(track.latitude, track.longitude)
    metres[hidden_before[1:]] = 0.0
    distance = np.concatenate((np.zeros(min(len(track), 1)), np.cumsum(metres)))
    speed = _speeds(track)
    chosen = _extremes((track.altitude, speed), most_points)
    return Profile(
        track.timestamp[chosen],
        distance[chosen],
        track.altitude[chosen],
        speed[chosen],
        _starts_among(chosen, starts),
    )


def _speeds(track: TrackArrays) -> FloatArray:
    """Metres per second at each fix: what the receiver measured where that can be trusted, else what positions say."""
    if len(track) == 0:
        return np.zeros(0)
    steps = Steps.of(track)
    here = np.arange(len(track))
    before = np.searchsorted(steps.seconds, steps.seconds - _SPEED_SECONDS, side="right") - 1
    before = np.where((before < 0) & (here > 0), 0, before)
    before = np.where(before == here, np.maximum(here - 1, 0), np.maximum(before, 0))
    elapsed = np.maximum(steps.seconds - steps.seconds[before], 1e-3)
    implied = np.minimum(steps.metres(before, here) / elapsed, steps.speed_limit)
    return np.where(np.isnan(steps.doppler), implied, steps.doppler)


def _extremes(series: tuple[FloatArray, ...], most_points: int) -> IntArray:
    """Ascending positions of the extremes of each series in stretches of equal numbers of fixes, and of both ends."""
    count = len(series[0])
    if count <= most_points:
        return np.arange(count)
    buckets = (most_points - 2) // _KEPT_OF_BUCKET
    edges = np.linspace(0, count, buckets + 1).astype(np.int64)
    chosen = [np.array([0, count - 1])]
    for values in series:
        for low, filler in ((True, np.inf), (False, -np.inf)):
            filled = np.where(np.isnan(values), filler, values)
            chosen.append(_extreme_of_each(filled, edges, low=low))
    return np.unique(np.concatenate(chosen))


def _extreme_of_each(values: FloatArray, edges: IntArray, *, low: bool) -> IntArray:
    pick = np.argmin if low else np.argmax
    return np.array([begin + pick(values[begin:end]) for begin, end in pairwise(edges.tolist())])


def _starts_among(chosen: IntArray, starts: BoolArray) -> BoolArray:
    """Whether a part begins between a chosen position and the one before it."""
    part = np.cumsum(starts)[chosen]
    return np.diff(part, prepend=0) > 0
