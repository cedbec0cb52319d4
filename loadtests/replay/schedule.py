"""When each fix of a track falls due in real time, and which stretches are kept back as if there had been no network.

File times decide the rhythm and nothing else: they are scaled by the speed-up, long gaps are cut short, and a clock
that ran backwards costs no time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from random import Random

from loadtests.replay.sources.tracks import Fix

LONGEST_GAP_SECONDS = 60.0
"""A longer silence in the file is ridden as one of this length."""
_SHARE_OF_TIME = 0.85
"""How much of `--within` riding may take; the rest is for backfill and the last acknowledgements."""
_FEWEST_FIXES_FOR_BACKFILL = 40
_SHORTEST_STRETCH = 5


@dataclass(frozen=True, slots=True)
class Schedule:
    """Seconds after the start at which each fix falls due, never falling; and the stretches sent late."""

    due: tuple[float, ...]
    late: tuple[range, ...]


def active_seconds(fixes: Sequence[Fix]) -> float:
    """How long the track takes at its own pace once long gaps are cut."""
    return sum(_steps(fixes))


def speedup_within(fixes: Sequence[Fix], seconds: float) -> float:
    """The speed-up (at least 1) with which the track is ridden and acknowledged within `seconds`."""
    return max(1.0, active_seconds(fixes) / (seconds * _SHARE_OF_TIME))


def schedule(fixes: Sequence[Fix], speedup: float, late: Sequence[range] = ()) -> Schedule:
    """Plan a track at `speedup` times its own pace."""
    due = accumulate((step / speedup for step in _steps(fixes)), initial=0.0)
    return Schedule(tuple(due) if fixes else (), tuple(late))


def late_stretches(count: int, random: Random) -> tuple[range, ...]:
    """Up to three stretches of sequence numbers, about a tenth of the track together, apart from one another."""
    if count < _FEWEST_FIXES_FOR_BACKFILL:
        return ()
    parts = min(3, count // _FEWEST_FIXES_FOR_BACKFILL)
    length = max(_SHORTEST_STRETCH, count // 10 // parts)
    share = count // parts
    begins = (part * share + random.randint(1, max(1, share - length - 2)) for part in range(parts))
    return tuple(range(begin, begin + length) for begin in begins)


def _steps(fixes: Sequence[Fix]) -> list[float]:
    """Seconds between consecutive fixes, from 0 to the longest gap."""
    milliseconds = (after.timestamp - before.timestamp for before, after in pairwise(fixes))
    return [min(max(step / 1000, 0.0), LONGEST_GAP_SECONDS) for step in milliseconds]
