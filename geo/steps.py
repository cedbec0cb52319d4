"""Steps between fixes: how fast a track would have had to go, and which of that no motorcycle can.

A step is plausible when it is within receiver noise, or slower than the track's speed limit and not contradicted by the
receiver's own Doppler speed. What to do about steps that are not is left to `geo.plausibility` and `geo.live`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from geo import geodesics
from geo.geodesics import FloatArray
from geo.track import BoolArray, IntArray, TrackArrays

SPEED_LIMIT = 300.0 / 3.6
"""Metres per second that a motorcycle does not exceed (proposed floor, after Dawarich's spike filter)."""
SPEED_LIMIT_MEDIANS = 3.0
"""A track's limit is at least this many times its own median speed (Dawarich)."""
HIGHEST_SPEED_LIMIT = 1_000.0 / 3.6
"""Metres per second: no median raises the limit above this (proposed), or a track of noise would excuse itself."""
NOISE_METRES = 30.0
"""Jitter that says nothing about speed: at 25 fixes a second it would be 750 m/s (proposed)."""
BASELINE_SECONDS = 1.0
"""Speeds are judged over at least this long; shorter steps are mostly noise and rounding."""

JUMP_SPEED = 20.0
"""Metres per second below which an implied speed is never a jump (colota)."""
JUMP_DOPPLERS = 5.0
"""An implied speed above this many times the Doppler speed is a jump (colota)."""
JUMP_SHORTEST_SECONDS = 1.0
"""Steps shorter than this are not compared with the Doppler speed (colota)."""
JUMP_LONGEST_SECONDS = 300.0
"""Nor are steps longer than this (colota)."""

_DOPPLER_TRUST_SPEED = 5.0
"""Metres per second of implied speed at which a working Doppler speed cannot read standstill."""
_DOPPLER_TRUST_SECONDS = 5.0
"""The baseline of those implied speeds: over a second, jitter alone can be as fast."""
_DOPPLER_STANDSTILL = 0.5
"""Metres per second below which a Doppler speed says that the rider stands (as in `geo.standing`)."""
_DOPPLER_DISTRUST_SHARE = 0.2
"""Share of fast steps read as standstill from which on a track's Doppler speeds are ignored (proposed): some phones
report 0 throughout, and believing that would flag the whole ride."""

Index = int | np.int64 | IntArray


@dataclass(frozen=True)
class Steps:
    """The fixes of a track as needed to judge any step between two of them; arrays of one length n.

    `seconds` since the first fix, `points` earth-centred metres of shape (n, 3), `doppler` metres per second or NaN
    (all NaN when the track's Doppler speeds cannot be trusted), `speed_limit` metres per second.
    """

    seconds: FloatArray
    points: FloatArray
    doppler: FloatArray
    speed_limit: float

    @classmethod
    def of(cls, track: TrackArrays) -> "Steps":
        """The steps of a track, with its own speed limit and with Doppler speeds only if they can be trusted."""
        seconds = seconds_of(track)
        points = geodesics.cartesian(track.latitude, track.longitude)
        speeds, _ = recorded_speeds(track, seconds, points, BASELINE_SECONDS)
        trusted = _doppler_trusted(track, seconds, points)
        doppler = track.speed if trusted else np.full(len(track), np.nan)
        median = float(np.median(speeds)) if len(speeds) else 0.0
        limit = min(max(SPEED_LIMIT, SPEED_LIMIT_MEDIANS * median), HIGHEST_SPEED_LIMIT)
        return cls(seconds, points, doppler, limit)

    def take(self, which: IntArray | BoolArray) -> "Steps":
        """The steps of some of the fixes."""
        return Steps(self.seconds[which], self.points[which], self.doppler[which], self.speed_limit)

    def metres(self, start: Index, end: Index) -> FloatArray:
        """Straight metres from fix to fix; indices broadcast."""
        return geodesics.chords(self.points[start], self.points[end])

    def plausible(self, start: Index, end: Index) -> npt.NDArray[np.bool_]:
        """Whether the rider can have gone from one fix to the other, later one; indices broadcast."""
        metres, seconds = self.metres(start, end), self.seconds[end] - self.seconds[start]
        within_limit = metres <= np.maximum(self.speed_limit * seconds, NOISE_METRES)
        return np.asarray(within_limit & ~self._contradicted(metres, seconds, start, end))

    def too_fast(self, start: Index, end: Index) -> npt.NDArray[np.bool_]:
        """Whether the step is over the speed limit, whatever Doppler says; indices broadcast."""
        metres, seconds = self.metres(start, end), self.seconds[end] - self.seconds[start]
        return np.asarray(metres > np.maximum(self.speed_limit * seconds, NOISE_METRES))

    def _contradicted(self, metres: FloatArray, seconds: FloatArray, start: Index, end: Index) -> npt.NDArray[np.bool_]:
        fastest = np.maximum(self.doppler[start], self.doppler[end])  # NaN when either is unknown: never contradicted
        judged = (seconds >= JUMP_SHORTEST_SECONDS) & (seconds <= JUMP_LONGEST_SECONDS)
        return np.asarray(judged & (metres > seconds * np.maximum(JUMP_SPEED, JUMP_DOPPLERS * fastest)))


def seconds_of(track: TrackArrays) -> FloatArray:
    """Seconds since the first fix, as floats."""
    if len(track) == 0:
        return np.zeros(0)
    return np.asarray((track.timestamp - track.timestamp[0]) / 1000.0)


def recorded_speeds(
    track: TrackArrays, seconds: FloatArray, points: FloatArray, baseline_seconds: float
) -> tuple[FloatArray, IntArray]:
    """Implied speeds in the order of recording, over baselines of about so many seconds, and the index of each end.

    The order of recording does not suffer when a clock is set back, as the order of time does. Steps of more than
    five minutes say little about how fast the track goes and are left out.
    """
    if len(track) < 2:
        return np.zeros(0), np.zeros(0, dtype=np.int64)
    order = np.argsort(track.seq, kind="stable")
    changes = np.flatnonzero(np.diff(np.floor(seconds[order] / baseline_seconds)) != 0) + 1
    marks = order[np.concatenate(([0], changes))]
    elapsed = np.diff(seconds[marks])
    metres = geodesics.chords(points[marks[:-1]], points[marks[1:]])
    judged = (elapsed > 0) & (elapsed <= JUMP_LONGEST_SECONDS)
    speeds = metres[judged] / np.maximum(elapsed[judged], baseline_seconds)
    return np.asarray(speeds), np.asarray(marks[1:][judged], dtype=np.int64)


def _doppler_trusted(track: TrackArrays, seconds: FloatArray, points: FloatArray) -> bool:
    """Whether there are Doppler speeds, and they do not read standstill where the track is fast."""
    if np.isnan(track.speed).all():
        return False
    speeds, ends = recorded_speeds(track, seconds, points, _DOPPLER_TRUST_SECONDS)
    fast = track.speed[ends[speeds > _DOPPLER_TRUST_SPEED]]
    fast = fast[~np.isnan(fast)]
    return len(fast) == 0 or float(np.mean(fast < _DOPPLER_STANDSTILL)) < _DOPPLER_DISTRUST_SHARE
