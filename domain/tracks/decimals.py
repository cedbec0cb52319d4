"""The decimal numbers that phones sent, given back from columns of single precision.

Altitude, speed and their like are stored as 4-byte reals. As doubles they would read 11.100000381469727 where the
phone said 11.1; what is given out is the number with the fewest digits that is stored as the same real.
"""

import numpy as np
import numpy.typing as npt

from geo.geodesics import FloatArray

_FEWEST_DIGITS = 6
"""Significant digits that a real always keeps."""
_MOST_DIGITS = 9
"""Significant digits that always tell two reals apart."""


def shortest(reals: npt.NDArray[np.float32] | FloatArray) -> FloatArray:
    """The doubles with the fewest decimal digits that round to these reals; any shape, NaN stays NaN."""
    exact = np.asarray(reals, dtype=np.float64)
    single = exact.astype(np.float32)
    chosen = exact.copy()
    magnitude = np.floor(np.log10(np.where((exact == 0) | np.isnan(exact), 1.0, np.abs(exact))))
    open_ = np.ones(exact.shape, dtype=np.bool_)
    for digits in range(_FEWEST_DIGITS, _MOST_DIGITS + 1):
        scale = 10.0 ** np.clip(digits - 1 - magnitude, 0, 22)  # powers of ten up to 10^22 are exact in a double
        rounded = np.round(exact * scale) / scale
        found = open_ & (rounded.astype(np.float32) == single)
        chosen[found] = rounded[found]
        open_ &= ~found
        if not open_.any():
            break
    return chosen
