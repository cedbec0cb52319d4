"""Time under way, time stopped, and the speeds of a track whose implausible fixes are gone."""

from dataclasses import dataclass

import numpy as np

from geo.geodesics import FloatArray
from geo.steps import BASELINE_SECONDS, Steps
from geo.stops import STOP_METRES
from geo.track import BoolArray, IntArray

MOVING_SPEED = 1.0 / 3.6
"""Metres per second above which a rider is under way (gpxpy)."""
TRIP_GAP_SECONDS = 3_600.0
"""A longer gap ends a trip (Traccar): unless the track goes on where it was, nothing is known of the time between."""
LONGEST_GAP_SECONDS = 24 * 3_600.0
"""A track is finished after a day without a fix: a longer gap is a clock that was set, not time that passed."""
TOP_SPEED_SECONDS = 2.0
"""The top speed is held this long before and after a fix (proposed), so that a displaced fix is no top speed."""


@dataclass(frozen=True)
class Times:
    """Seconds, metres and metres per second; `duration` less the others is time of which nothing is known."""

    duration: float
    moving: float
    stopped: float
    moving_metres: float
    max_speed: float


def measure(steps: Steps, standing: BoolArray) -> Times:
    """The times and speeds of n fixes, ascending in time; `standing` marks those that an anchor holds, shape (n,)."""
    count = len(steps.seconds)
    if count < 2:
        return Times(0.0, 0.0, 0.0, 0.0, 0.0)
    elapsed = np.diff(steps.seconds)
    metres = steps.metres(np.arange(count - 1), np.arange(1, count))
    passed = elapsed <= LONGEST_GAP_SECONDS
    known = passed & ((elapsed <= TRIP_GAP_SECONDS) | (metres < STOP_METRES))
    speeds = _speeds(steps, BASELINE_SECONDS)
    moving = known & ~standing[1:] & (speeds > MOVING_SPEED)
    return Times(
        duration=float(elapsed[passed].sum()),
        moving=float(elapsed[moving].sum()),
        stopped=float(elapsed[known & ~moving].sum()),
        moving_metres=float(metres[moving].sum()),
        max_speed=_top_speed(steps, moving),
    )


def _speeds(steps: Steps, baseline_seconds: float) -> FloatArray:
    """The speed at the end of each of n - 1 steps, over the shortest baseline of at least `baseline_seconds`.

    At the start of the track, where there is no such baseline, the one that begins at the first fix.
    """
    ends = np.arange(1, len(steps.seconds))
    starts = np.searchsorted(steps.seconds, steps.seconds[ends] - baseline_seconds, side="right") - 1
    starts = np.maximum(starts, 0)
    elapsed = np.maximum(steps.seconds[ends] - steps.seconds[starts], baseline_seconds)
    return np.asarray(steps.metres(starts, ends) / elapsed)


def _speed(steps: Steps, starts: IntArray, ends: IntArray) -> FloatArray:
    elapsed = np.maximum(steps.seconds[ends] - steps.seconds[starts], TOP_SPEED_SECONDS)
    return np.asarray(steps.metres(starts, ends) / elapsed)


def _top_speed(steps: Steps, moving: BoolArray) -> float:
    """The highest speed under way, leaving out steps that were accepted although nothing can go so fast."""
    seconds = steps.seconds
    middles = np.arange(1, len(seconds))
    starts = np.maximum(np.searchsorted(seconds, seconds[middles] - TOP_SPEED_SECONDS, side="right") - 1, 0)
    ends = np.minimum(np.searchsorted(seconds, seconds[middles] + TOP_SPEED_SECONDS), len(seconds) - 1)
    before, after = _speed(steps, starts, middles), _speed(steps, middles, ends)
    held = np.minimum(np.minimum(before, after), _speed(steps, starts, ends))[moving]
    return float(held[held <= steps.speed_limit].max(initial=0.0))
