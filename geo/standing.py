"""The standing-jitter anchor over a whole track: which fixes only wander around a place where the rider stands.

The anchor itself counts, the fixes that it holds do not. With a Doppler speed it holds while that reads standstill;
without one (GPX files), where the track stays so close for so long that it cannot have been under way.
"""

import numpy as np

from geo.geodesics import FloatArray, chords
from geo.stays import stays
from geo.steps import Steps
from geo.track import BoolArray, IntArray

STANDING_SPEED = 0.5
"""Metres per second of Doppler speed below which an anchor holds (proposed)."""
STANDING_METRES = 20.0
"""Displacement up to which an anchor holds, unless the fix's accuracy is worse (proposed)."""
STANDING_SECONDS = STANDING_METRES / STANDING_SPEED
"""Without a Doppler speed: staying within `STANDING_METRES` this long is slower than `STANDING_SPEED`."""


def held(steps: Steps, accuracy: FloatArray) -> BoolArray:
    """Which of n fixes (ascending times, plausible) an anchor holds; `accuracy` in metres or NaN, shape (n,)."""
    reach = anchor_reach(accuracy)
    result = np.zeros(len(reach), dtype=bool)
    moving = steps.doppler >= STANDING_SPEED
    for start, end in stays(steps.seconds, steps.points, reach, STANDING_SECONDS):
        result[start + 1 : end + 1] = True
    result &= ~moving
    return result | _held_by_doppler(steps, reach)


def anchor_reach(accuracy: FloatArray) -> FloatArray:
    """Metres up to which an anchor at each fix holds."""
    return np.asarray(np.fmax(accuracy, STANDING_METRES))


def _held_by_doppler(steps: Steps, reach: FloatArray) -> BoolArray:
    """Fixes held by the first fix of their stretch of standstill, or, where they left it, by the next anchor."""
    result = np.zeros(len(reach), dtype=bool)
    still = steps.doppler < STANDING_SPEED
    begins = still & ~np.concatenate(([False], still[:-1]))
    anchors, members = np.flatnonzero(begins), np.flatnonzero(still)
    if len(members) == 0:
        return result
    stretch = np.cumsum(begins)[members] - 1
    anchor = anchors[stretch]
    near = chords(steps.points[anchor], steps.points[members]) < reach[anchor]
    result[members] = near
    for restless in np.unique(stretch[~near]):
        first, last = np.searchsorted(stretch, (restless, restless + 1))
        _reanchor(steps.points, reach, members[first:last], result)
    result[anchors] = False
    return result


def _reanchor(points: FloatArray, reach: FloatArray, members: IntArray, result: BoolArray) -> None:
    """Walk one stretch of standstill that drifts away: each fix out of reach becomes the next anchor."""
    at = 0
    while at < len(members):
        rest = members[at + 1 :]
        outside = np.flatnonzero(chords(points[members[at]], points[rest]) >= reach[members[at]])
        until = int(outside[0]) if len(outside) else len(rest)
        result[members[at]] = False
        result[rest[:until]] = True
        at += 1 + until
