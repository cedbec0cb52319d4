"""Fixes whose time cannot be theirs, because the receiver's clock was wrong and then set.

In order of recording (`seq`) a track's times should rise. Where they fall, either points were merely logged out of
order, and fit where their times put them; or the clock was set back, and two stretches of the ride claim the same time.
Sorted by time such stretches interleave, and a total over them would be nonsense: one of them loses its time. The first
fixes of a ride, recorded before the clock was right, can also land far away in time from where they were ridden.
"""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from geo import geodesics
from geo.fix import Flag
from geo.geodesics import FloatArray
from geo.track import FlagArray, IntArray, TrackArrays

LEAP_SECONDS = 60.0
"""A stretch of recording also ends where its time leaps forward by more than this, to fall back later (proposed) …"""
LEAP_INTERVALS = 30.0
"""… and by more than so many of the track's usual intervals."""
SHORT_LEAP_SECONDS = 5.0
"""The seconds for a leap to or from a few fixes with a time of their own, or for a clock that was set (proposed) …"""
SHORT_LEAP_INTERVALS = 5.0
"""… and the intervals …"""
FEW_FIXES = 5
"""… and how many fixes are a few."""
ZIGZAG_FACTOR = 1.5
"""Two stretches contradict each other when going through both by time is this many times as far (proposed) …"""
ZIGZAG_METRES = 50.0
"""… plus this far, in metres, as going along each (proposed)."""
FEWER_SHARE = 0.5
"""Of two stretches that overlap at their ends the later recorded loses, unless the earlier has so many fewer there."""
MISPLACED_SHARE = 0.2
"""A stretch is misplaced as a whole only when it is at most this share of its neighbour (proposed) …"""
MISPLACED_METRES = 200.0
"""… its time puts it at least this far from where the track is then, in metres (proposed) …"""
MISPLACED_FACTOR = 10.0
"""… and this many times as far as it is from the fix recorded next to it (proposed)."""

SHORT_STRETCH = 3
"""With fewer fixes than this a loser is called a spike: its position may be at fault, not its time."""

_WORK_LIMIT = 30
"""Fixes looked at, as a multiple of the track's, before a recording in random order is left as it is."""


@dataclass(frozen=True)
class _Stretch:
    """A stretch of recording with ascending times: its positions in the track's order of time."""

    positions: IntArray

    @property
    def first(self) -> int:
        return int(self.positions[0])

    @property
    def last(self) -> int:
        return int(self.positions[-1])

    def __len__(self) -> int:
        return len(self.positions)

    def within(self, first: int, last: int) -> IntArray:
        """The positions from first to last, both inclusive."""
        low, high = np.searchsorted(self.positions, (first, last + 1))
        return np.asarray(self.positions[low:high])


def wrong_times(track: TrackArrays) -> FlagArray:
    """REPEATED, or SPIKE for one or two, for the fixes that lose their time to others, 0 for the rest; shape (n,)."""
    flags = np.zeros(len(track), dtype=np.int16)
    stretches = _stretches(track)
    if stretches:
        claims = _Claims(stretches, geodesics.cartesian(track.latitude, track.longitude))
        claims.settle()
        for loser in [*claims.losers, *_misplaced(stretches, claims, track.timestamp / 1000.0)]:
            flags[loser] = Flag.REPEATED if len(loser) >= SHORT_STRETCH else Flag.SPIKE
    return flags


def _stretches(track: TrackArrays) -> list[_Stretch]:
    """The recording cut wherever its time falls, in order of recording; none if it never does.

    Also where it leaps over the time to which it falls later, or, for a few fixes, from which it fell before: what is
    ahead of or behind the rest is then alone.
    """
    order = np.argsort(track.seq, kind="stable")
    seconds = track.timestamp[order] / 1000.0
    falls = (np.flatnonzero(np.diff(seconds) < 0) + 1).tolist()
    if not falls:
        return []
    cuts = set(falls) | _cuts_at_leaps(seconds, [0, *falls, len(order)])
    return [_Stretch(positions) for positions in np.split(order, sorted(cuts))]


def _cuts_at_leaps(seconds: FloatArray, edges: list[int]) -> set[int]:
    """Where to cut the stretches between the edges, given the times in order of recording."""
    rises = np.diff(seconds)
    least = max(LEAP_SECONDS, LEAP_INTERVALS * _interval(seconds))
    least_for_few = max(SHORT_LEAP_SECONDS, SHORT_LEAP_INTERVALS * _interval(seconds))
    cuts = set()
    for start, fall, end in zip(edges, edges[1:], edges[2:], strict=False):
        ahead = start + int(np.searchsorted(seconds[start:fall], seconds[fall], side="right"))
        if start < ahead < fall and rises[ahead - 1] > (least_for_few if fall - ahead <= FEW_FIXES else least):
            cuts.add(ahead)
        behind = fall + int(np.searchsorted(seconds[fall:end], seconds[fall - 1], side="right"))
        if fall < behind < end and behind - fall <= FEW_FIXES and rises[behind - 1] > least_for_few:
            cuts.add(behind)
    return cuts


def _interval(seconds: FloatArray) -> float:
    """The usual time from one fix to the next, for times in any order."""
    rises = np.diff(seconds)
    return float(np.median(rises[rises > 0])) if (rises > 0).any() else 0.0


class _Claims:
    """Each stretch in turn claims its time; where it contradicts what is there already, one of the two loses."""

    def __init__(self, stretches: list[_Stretch], points: FloatArray) -> None:
        self.points = points
        self.losers: list[IntArray] = []
        self.claimed = np.zeros(len(points), dtype=bool)
        self._stretches = stretches
        self._stretch_of = np.empty(len(points), dtype=np.int64)
        for number, stretch in enumerate(stretches):
            self._stretch_of[stretch.positions] = number

    def settle(self) -> None:
        """Let all stretches claim, in order of recording."""
        budget = _WORK_LIMIT * len(self.points)
        for stretch in self._stretches:
            budget -= stretch.last - stretch.first
            if budget < 0:
                return
            others = stretch.first + np.flatnonzero(self.claimed[stretch.first : stretch.last + 1])
            self.claimed[stretch.positions] = True
            if len(others):
                self._oppose(stretch, others)

    def _oppose(self, stretch: _Stretch, others: IntArray) -> None:
        rivals = [self._stretches[number] for number in np.unique(self._stretch_of[others])]
        first = max(stretch.first, min(rival.first for rival in rivals))
        last = min(stretch.last, max(rival.last for rival in rivals))
        mine = stretch.within(first, last)
        others = others[(others >= first) & (others <= last)]
        if len(mine) and len(others) and self._contradict(mine, others, first, last):
            nested = all(stretch.first <= rival.first and rival.last <= stretch.last for rival in rivals)
            fewer = len(others) <= len(stretch) if nested else len(others) < FEWER_SHARE * len(mine)
            loser = others if fewer else mine
            self.claimed[loser] = False
            self.losers.append(loser)

    def _contradict(self, mine: IntArray, others: IntArray, first: int, last: int) -> bool:
        """Whether going through both in order of time, from the fix before to the fix after, is a zigzag."""
        before, after = self._neighbour(range(first - 1, -1, -1)), self._neighbour(range(last + 1, len(self.points)))
        both = self._length(before, np.sort(np.concatenate((mine, others))), after)
        apart = self._length(before, mine, after) + self._length(before, others, after)
        return both > ZIGZAG_FACTOR * apart + ZIGZAG_METRES

    def _neighbour(self, outwards: range) -> IntArray:
        """The nearest claimed position in a direction, as an array of one or none; it is nearly always the next."""
        nearest = next((position for position in outwards if self.claimed[position]), None)
        return np.array([] if nearest is None else [nearest], dtype=np.int64)

    def leap(self, stretch: _Stretch) -> float:
        """Metres from a stretch to the fixes before and after it in time, the longer of the two."""
        before = self._neighbour(range(stretch.first - 1, -1, -1))
        after = self._neighbour(range(stretch.last + 1, len(self.points)))
        return max(self._length(before, stretch.positions[:1]), self._length(stretch.positions[-1:], after))

    def _length(self, *parts: IntArray) -> float:
        positions = np.concatenate(parts)
        return float(geodesics.chords(self.points[positions[:-1]], self.points[positions[1:]]).sum())


def _misplaced(stretches: list[_Stretch], claims: _Claims, seconds: FloatArray) -> list[IntArray]:
    """Stretches that were ridden next to their neighbour in the recording, and are far from it by their time.

    The clock must have been set between them: where times only stumble, a gap in the track is no misplacement.
    """
    losers = []
    least = max(SHORT_LEAP_SECONDS, SHORT_LEAP_INTERVALS * _interval(seconds))
    for before, after in pairwise(stretches):
        small, large = sorted((before, after), key=len)
        set_by = abs(seconds[after.first] - seconds[before.last])
        if set_by > least and len(small) <= MISPLACED_SHARE * len(large) and claims.claimed[small.positions].all():
            joint = float(geodesics.chords(claims.points[before.last], claims.points[after.first]))
            if claims.leap(small) > max(MISPLACED_METRES, MISPLACED_FACTOR * joint):
                claims.claimed[small.positions] = False
                losers.append(small.positions)
    return losers
