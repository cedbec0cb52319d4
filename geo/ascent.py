"""Ascent and descent from noisy altitudes: smoothed, then counted only where the track really turned.

Sums of raw differences add up noise (3690 m were once reported for an official 2400 m).
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from geo.geodesics import FloatArray
from geo.track import IntArray

SMOOTHING_FIXES = 5
"""Altitudes are smoothed over so many fixes (after OsmAnd): the median removes glitches, the mean the steps."""
REVERSAL_METRES = 10.0
"""A climb ends only when the track has come down this far from its top, and the other way round (after OsmAnd)."""


def climb(altitudes: FloatArray) -> tuple[float, float]:
    """Ascent and descent in metres along n altitudes (metres, NaN where unknown), both positive."""
    known = altitudes[~np.isnan(altitudes)]
    if len(known) < 2:
        return 0.0, 0.0
    smooth = _windows(_windows(known, "median"), "mean")
    return _legs(smooth[_turning_points(smooth)].tolist())


def _windows(values: FloatArray, by: str) -> FloatArray:
    """The median or mean of the windows around each value, narrower towards both ends, which stay as they are."""
    result = values.copy()
    for reach in range(1, SMOOTHING_FIXES // 2 + 1):
        if len(values) >= 2 * reach + 1:
            windows = sliding_window_view(values, 2 * reach + 1)
            result[reach:-reach] = np.sort(windows, axis=1)[:, reach] if by == "median" else windows.mean(axis=1)
    return result


def _turning_points(values: FloatArray) -> IntArray:
    """Indices of the ends and of every local extreme: nothing between them matters."""
    slopes = np.sign(np.diff(values))
    moving = np.flatnonzero(slopes)
    turns = moving[:-1][slopes[moving[:-1]] != slopes[moving[1:]]] + 1
    return np.concatenate(([0], turns, [len(values) - 1]))


def _legs(values: list[float]) -> tuple[float, float]:
    """The channel: sums of the legs between turns of at least `REVERSAL_METRES`, the unfinished last leg included."""
    ascent = descent = 0.0
    low = high = pivot = values[0]
    direction = 0
    for value in values:
        low, high = min(low, value), max(high, value)
        if direction >= 0 and high - value >= REVERSAL_METRES:
            ascent += high - pivot if direction else 0.0
            pivot, direction, low = high, -1, value
        elif direction <= 0 and value - low >= REVERSAL_METRES:
            descent += pivot - low if direction else 0.0
            pivot, direction, high = low, 1, value
    if direction > 0:
        ascent += high - pivot
    elif direction < 0:
        descent += pivot - low
    return ascent, descent
