"""Stays: stretches of a track that remain within a radius of the fix where they began, for at least a while.

The standing-jitter anchor (20 m) and stops (200 m) are both stays. A stay ends at the first fix outside the radius.
Runs in O(n log w) for windows of w fixes, without a Python step per fix.
"""

from typing import TypeAlias

import numpy as np

from geo.geodesics import FloatArray, chords
from geo.track import BoolArray, IntArray

Span: TypeAlias = tuple[int, int]
"""Positions of the first and the last fix of a stretch, both inclusive."""

_CHUNK = 256
"""Fixes looked at first when following a stay; doubled until it ends."""


def stays(seconds: FloatArray, points: FloatArray, radius: FloatArray, least_seconds: float) -> list[Span]:
    """The stays of a track, in order and disjoint: as early as possible, and as long as they last.

    `seconds` ascending (n), `points` earth-centred metres (n, 3), `radius` metres for a stay that begins at each fix
    (n). The window of `least_seconds` reaches to the first fix at or after its end, so that sparse tracks have stays.
    """
    candidates = _candidates(seconds, points, radius, least_seconds)
    found: list[Span] = []
    after = 0
    for start in candidates:
        if start < after:
            continue
        end = _follow(points, int(start), float(radius[start]))
        if seconds[end] - seconds[start] >= least_seconds:
            found.append((int(start), end))
            after = end + 1
    return found


def _candidates(seconds: FloatArray, points: FloatArray, radius: FloatArray, least_seconds: float) -> IntArray:
    """Fixes whose whole window lies in a cube around them: every stay begins at one, not every one begins a stay."""
    window_ends = np.searchsorted(seconds, seconds + least_seconds)
    starts = np.flatnonzero(window_ends < len(seconds))
    ends = window_ends[starts]
    near = chords(points[starts], points[ends]) < radius[starts]
    starts, ends = starts[near], ends[near]
    inside: BoolArray = np.ones(len(starts), dtype=bool)
    for axis in range(3):
        lowest, highest = _window_extremes(points[:, axis], starts, ends)
        middle = points[starts, axis]
        inside &= (highest - middle < radius[starts]) & (middle - lowest < radius[starts])
    return starts[inside]


def _window_extremes(values: FloatArray, starts: IntArray, ends: IntArray) -> tuple[FloatArray, FloatArray]:
    """The smallest and largest of values[start..end] for each window (a sparse table, one level in memory)."""
    lowest, highest = np.empty(len(starts)), np.empty(len(starts))
    low, high = values, values
    level_of = np.floor(np.log2(ends - starts + 1)).astype(np.int64)
    for level in range(int(level_of.max(initial=0)) + 1):
        chosen = level_of == level
        first, second = starts[chosen], ends[chosen] - (1 << level) + 1
        lowest[chosen] = np.minimum(low[first], low[second])
        highest[chosen] = np.maximum(high[first], high[second])
        step = 1 << level
        low, high = np.minimum(low[:-step], low[step:]), np.maximum(high[:-step], high[step:])
    return lowest, highest


def _follow(points: FloatArray, start: int, radius: float) -> int:
    """The last fix before the track leaves the radius around `start`."""
    at, chunk = start + 1, _CHUNK
    while at < len(points):
        outside = np.flatnonzero(chords(points[start], points[at : at + chunk]) >= radius)
        if len(outside):
            return at + int(outside[0]) - 1
        at, chunk = at + chunk, chunk * 2
    return len(points) - 1
