"""The final flags of a track: which fixes do not count, and why, decided over the whole track.

Every fix is kept and flagged, never deleted. Here are the order of the decisions and what each sees; the decisions
themselves are in `geo.clock_faults`, `geo.plausibility` and `geo.standing`. The provisional flags of a live track are
`geo.live.LiveFilter`'s.
"""

import numpy as np

from geo.clock_faults import wrong_times
from geo.fix import Flag
from geo.live import ACCURACY_LIMIT_METRES, LiveFilter
from geo.plausibility import believed
from geo.standing import held
from geo.steps import Steps
from geo.track import FlagArray, IntArray, TrackArrays

__all__ = ["ACCURACY_LIMIT_METRES", "LiveFilter", "final_flags"]


def final_flags(track: TrackArrays) -> FlagArray:
    """The flags of every fix of a track, an array of shape (n,) in the track's (timestamp, seq) order.

    At most one fix of each time is without a flag, so that the unflagged ones have strictly ascending times. A fix
    has one flag, and beside it INACCURATE where that holds. AHEAD is never given: it takes the server's clock.
    """
    flags = np.zeros(len(track), dtype=np.int16)
    if len(track) == 0:
        return flags
    flags[track.accuracy > ACCURACY_LIMIT_METRES] = Flag.INACCURATE
    accurate = np.flatnonzero(flags == 0)
    flags[accurate] = wrong_times(track.take(accurate))
    candidates = np.flatnonzero(flags == 0)
    steps = Steps.of(track.take(candidates))
    verdicts = _plausibility_flags(steps)
    plausible = np.flatnonzero(verdicts == 0)
    standing = held(steps.take(plausible), track.accuracy[candidates[plausible]])
    verdicts[plausible[standing]] = Flag.STANDING
    flags[candidates] = verdicts
    return flags


def _plausibility_flags(steps: Steps) -> FlagArray:
    """REPEATED, SPIKE and JUMP for fixes in order of time, whose times may repeat."""
    flags = np.zeros(len(steps.seconds), dtype=np.int16)
    first_of_time = np.concatenate(([True], np.diff(steps.seconds) > 0))
    flags[~first_of_time] = Flag.REPEATED
    chosen = np.flatnonzero(first_of_time)
    believe = believed(steps.take(chosen))
    kept, dropped = chosen[believe], chosen[~believe]
    if len(dropped):
        flags[dropped] = _reasons(steps, kept, dropped)
        _let_twins_stand_in(steps, flags, kept, dropped)
    return flags


def _reasons(steps: Steps, kept: IntArray, dropped: IntArray) -> FlagArray:
    """SPIKE where a step from or to the path is too fast for any motorcycle, JUMP where only Doppler contradicts."""
    position = np.searchsorted(kept, dropped)
    before, after = kept[np.maximum(position - 1, 0)], kept[np.minimum(position, len(kept) - 1)]
    spike = steps.too_fast(before, dropped) & (position > 0)
    spike |= steps.too_fast(dropped, after) & (position < len(kept))
    return np.where(spike, np.int16(Flag.SPIKE), np.int16(Flag.JUMP))


def _let_twins_stand_in(steps: Steps, flags: FlagArray, kept: IntArray, dropped: IntArray) -> None:
    """Where the first fix of a time is not believed, another of the same time that fits the path counts instead."""
    seconds = steps.seconds
    has_twin = np.append(seconds[1:] == seconds[:-1], False)
    path = kept
    for first in dropped[has_twin[dropped]]:
        position = int(np.searchsorted(path, first))
        twins = range(int(first) + 1, int(np.searchsorted(seconds, seconds[first], side="right")))
        chosen = next((twin for twin in twins if _fits(steps, path, position, twin)), None)
        if chosen is not None:
            flags[chosen] = 0
            path = np.insert(path, position, chosen)


def _fits(steps: Steps, path: IntArray, position: int, twin: int) -> bool:
    """Whether a fix is plausible between the believed fixes around it."""
    from_before = position == 0 or bool(steps.plausible(path[position - 1], twin))
    return from_before and (position == len(path) or bool(steps.plausible(twin, path[position])))
