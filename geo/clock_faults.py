"""Fixes whose time cannot be theirs, because the receiver's clock was wrong and then set.

In order of recording (`seq`) a track's times should rise. Where they fall, either points were merely logged out of
order, and fit where their times put them; or the clock was set back, and two stretches of the ride claim the same time.
Sorted by time such stretches interleave, and a total over them would be nonsense: one of them loses its time. The first
fixes of a ride, recorded before the clock was right, can also land far away in time from where they were ridden.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from geo import geodesics
from geo.geodesics import FloatArray
from geo.track import BoolArray, IntArray, TrackArrays

ZIGZAG_FACTOR = 1.5
"""Two stretches contradict each other when going through both by time is this many times as far (proposed) …"""
ZIGZAG_METRES = 50.0
"""… plus this far, in metres, as going along each (proposed)."""
SHORTEST_STRETCH = 3
"""Shorter stretches are left to `geo.plausibility`: they may be outliers with a good time."""
MISPLACED_SHARE = 0.2
"""A stretch is misplaced as a whole only when it is at most this share of its neighbour (proposed)."""
MISPLACED_METRES = 1_000.0
"""… and its time puts it at least this far from where the track is then, in metres (proposed) …"""
MISPLACED_FACTOR = 10.0
"""… and this many times as far as it is from the fix recorded next to it (proposed)."""

_WORK_LIMIT = 30
"""Fixes looked at, as a multiple of the track's, before a recording in random order is left as it is."""


@dataclass(frozen=True)
class _Stretch:
    """A stretch of recording with ascending times; positions are in order of time."""

    positions: IntArray

    @property
    def first(self) -> int:
        return int(self.positions[0])

    @property
    def last(self) -> int:
        return int(self.positions[-1])

    def __len__(self) -> int:
        return len(self.positions)


def wrong_times(track: TrackArrays) -> BoolArray:
    """The fixes that lose their time to others, as a mask of shape (n,)."""
    wrong = np.zeros(len(track), dtype=bool)
    stretches = _stretches(track)
    if len(stretches) < 2:
        return wrong
    points = geodesics.cartesian(track.latitude, track.longitude)
    _resolve_overlaps(stretches, points, wrong)
    for misplaced in _misplaced(stretches, points):
        wrong[misplaced.positions] = True
    return wrong


def _stretches(track: TrackArrays) -> list[_Stretch]:
    """The recording cut wherever its time falls, in order of recording."""
    order = np.argsort(track.seq, kind="stable")
    cuts = np.flatnonzero(np.diff(track.timestamp[order]) < 0) + 1
    if len(cuts) == 0:
        return []
    return [_Stretch(positions) for positions in np.split(order, cuts)]


def _resolve_overlaps(stretches: list[_Stretch], points: FloatArray, wrong: BoolArray) -> None:
    """Let each stretch in turn claim its time; where it contradicts what is there already, one of the two is wrong."""
    stretch_of = np.empty(len(wrong), dtype=np.int64)
    claimed = np.zeros(len(wrong), dtype=bool)
    for number, stretch in enumerate(stretches):
        stretch_of[stretch.positions] = number
    budget = _WORK_LIMIT * len(wrong)
    for stretch in stretches:
        budget -= stretch.last - stretch.first
        if budget < 0:
            return
        window = np.arange(stretch.first, stretch.last + 1)
        others = window[claimed[window] & ~wrong[window]]
        claimed[stretch.positions] = True
        if len(others) and _contradict(points, stretch.positions, others):
            loser = _loser(stretches, stretch_of, stretch, others)
            if len(loser) >= SHORTEST_STRETCH:
                wrong[loser] = True


def _contradict(points: FloatArray, stretch: IntArray, others: IntArray) -> bool:
    """Whether going through both, in order of time, is a zigzag."""
    inside = stretch[np.searchsorted(stretch, others[0]) : np.searchsorted(stretch, others[-1]) + 1]
    together = np.sort(np.concatenate((inside, others)))
    apart = _length(points, inside) + _length(points, others)
    return _length(points, together) > ZIGZAG_FACTOR * apart + ZIGZAG_METRES


def _length(points: FloatArray, positions: IntArray) -> float:
    return float(geodesics.chords(points[positions[:-1]], points[positions[1:]]).sum())


def _loser(stretches: list[_Stretch], stretch_of: IntArray, stretch: _Stretch, others: IntArray) -> IntArray:
    """Which fixes lose their time: a stretch wholly within the time of a longer one, else the later recorded."""
    nested = all(
        stretch.first <= stretches[number].first and stretches[number].last <= stretch.last
        for number in np.unique(stretch_of[others])
    )
    if nested and len(others) <= len(stretch):
        return others
    overlapping = (stretch.positions > others[0]) & (stretch.positions < others[-1])
    return np.asarray(stretch.positions[overlapping])


def _misplaced(stretches: list[_Stretch], points: FloatArray) -> Iterator[_Stretch]:
    """Stretches that were ridden next to their neighbour in the recording, and are far from it by their time."""
    for before, after in pairwise(stretches):
        small, large = sorted((before, after), key=len)
        if len(small) > MISPLACED_SHARE * len(large):
            continue
        joint = geodesics.chords(points[before.positions[-1]], points[after.positions[0]])
        if small.first > large.last:
            leap = geodesics.chords(points[large.last], points[small.first])
        elif small.last < large.first:
            leap = geodesics.chords(points[small.last], points[large.first])
        else:
            continue
        if leap > MISPLACED_METRES and leap > MISPLACED_FACTOR * joint:
            yield small
