"""The plausible path: which fixes of a track to believe, so that as few as possible are not.

The track is cut wherever a step is impossible. The pieces are joined again over what lies between them (the track goes
on after an outlier as if it had not been), which gives tracklets: each plausible in itself, some overlapping in time.
The best chain of tracklets is kept. Changing to another tracklet costs the fixes that must be dropped until the new
place could have been reached, or a bounded price when that is cheaper: a track that never comes back was no outlier.
So a teleport of any length that returns is dropped whole, a snap after a tunnel costs a fix or two, a wrong first fix
does not poison what follows, and a ferry crossing stays.
"""

from dataclasses import dataclass, field

import numpy as np

from geo.steps import Steps
from geo.track import BoolArray, IntArray

CHANGE_SHARE = 0.01
"""Share of the track's fixes that one impossible step may cost before it is accepted as it is (proposed) …"""
LOWEST_CHANGE_PRICE = 10
"""… but so many fixes in any case …"""
HIGHEST_CHANGE_PRICE = 30
"""… and no more than this, half a minute of an ordinary track."""
SHORT_END_FIXES = 30
"""An end of the track cut off by an impossible step is dropped when it has at most this many fixes (proposed) …"""
SHORT_END_SHARE = 0.025
"""… or at most this share of the track, if that is more …"""
LONG_END_SHARE = 0.4
"""… but never when it is more than this share."""

_OPEN_TRACKLETS = 8
"""Tracklets that a later piece can continue; outliers rarely agree with each other in more places at a time."""
_CHAIN_REACH = 16
"""Earlier tracklets that one may follow in a chain."""
_CHANGES_WEIGHED = 3
"""Impossible changes weighed for each tracklet, from the best chains so far; further ones are hardly ever better."""
_MOST_PIECES = 20_000
"""Beyond this many pieces a recording is mostly noise: only its longest pieces are looked at, the rest is dropped."""
_CHANGE_BIAS = 0.5
"""Added to every change of tracklet, so that of two equal explanations the one with fewer changes is taken."""


@dataclass(eq=False)
class _Tracklet:
    pieces: list[tuple[int, int]] = field(default_factory=list)
    """First and last index of each piece, both inclusive, in order."""
    count: int = 0
    open: bool = True

    def add(self, first: int, last: int) -> None:
        self.pieces.append((first, last))
        self.count += last - first + 1

    @property
    def first(self) -> int:
        return self.pieces[0][0]

    @property
    def last(self) -> int:
        return self.pieces[-1][1]

    def indices(self) -> IntArray:
        return np.concatenate([np.arange(first, last + 1) for first, last in self.pieces])


@dataclass(frozen=True)
class _Change:
    """How to go from one tracklet to the next: fixes dropped at the end of one and at the start of the other."""

    cost: float
    drop_before: int
    drop_after: int


_NO_CHANGE = _Change(0.0, 0, 0)


@dataclass(frozen=True)
class _Origin:
    """Where a chain comes from: an earlier tracklet, and how it changes from it."""

    position: int
    change: _Change


def believed(steps: Steps) -> BoolArray:
    """Which of n fixes to believe, as a mask of shape (n,). The times must be strictly ascending."""
    count = len(steps.seconds)
    impossible = ~steps.plausible(np.arange(count - 1), np.arange(1, count)) if count > 1 else np.zeros(0, dtype=bool)
    if not impossible.any():
        return np.ones(count, dtype=bool)
    tracklets = _tracklets(steps, _pieces(impossible))
    kept = _best_chain(steps, tracklets)
    return _without_short_ends(steps, kept)


def _pieces(impossible: BoolArray) -> list[tuple[int, int]]:
    """First and last index of the stretches without an impossible step."""
    cuts = np.flatnonzero(impossible)
    firsts = np.concatenate(([0], cuts + 1))
    lasts = np.concatenate((cuts, [len(impossible)]))
    if len(firsts) > _MOST_PIECES:
        longest = np.sort(np.argsort(firsts - lasts, kind="stable")[:_MOST_PIECES])
        firsts, lasts = firsts[longest], lasts[longest]
    return list(zip(firsts.tolist(), lasts.tolist(), strict=True))


def _tracklets(steps: Steps, pieces: list[tuple[int, int]]) -> list[_Tracklet]:
    """The pieces joined: each continues the nearest open tracklet that it can continue, or begins one."""
    tracklets: list[_Tracklet] = []
    heads: list[_Tracklet] = []
    for first, last in pieces:
        chosen = _continued(steps, heads, first)
        if chosen is None:
            chosen = _Tracklet()
            tracklets.append(chosen)
            heads.append(chosen)
        _close_overtaken(steps, heads, chosen, last)
        chosen.add(first, last)
        heads = _still_open(heads, chosen)
    return tracklets


def _continued(steps: Steps, heads: list[_Tracklet], first: int) -> _Tracklet | None:
    if not heads:
        return None
    ends = np.array([head.last for head in heads])
    possible = steps.plausible(ends, first)
    if not possible.any():
        return None
    metres = np.where(possible, steps.metres(ends, first), np.inf)
    return heads[int(np.argmin(metres))]


def _close_overtaken(steps: Steps, heads: list[_Tracklet], chosen: _Tracklet, last: int) -> None:
    """A tracklet is left for good once the piece under way could have been reached from where it ended."""
    others = [head for head in heads if head is not chosen and head.pieces]
    if others:
        reached = steps.plausible(np.array([head.last for head in others]), last)
        for head, over in zip(others, reached, strict=True):
            head.open = not over


def _still_open(heads: list[_Tracklet], newest: _Tracklet) -> list[_Tracklet]:
    open_heads = [head for head in heads if head.open]
    if len(open_heads) > _OPEN_TRACKLETS:
        open_heads.remove(min((head for head in open_heads if head is not newest), key=lambda head: head.count))
    return open_heads


def _best_chain(steps: Steps, tracklets: list[_Tracklet]) -> BoolArray:
    """The fixes of the chain of tracklets that keeps the most, less what its changes cost."""
    price = round(min(max(LOWEST_CHANGE_PRICE, CHANGE_SHARE * len(steps.seconds)), HIGHEST_CHANGE_PRICE))
    ordered = sorted(tracklets, key=lambda tracklet: tracklet.last)
    scores: list[float] = []
    came_from: list[_Origin | None] = []
    for position, tracklet in enumerate(ordered):
        from_position = max(0, position - _CHAIN_REACH)
        origin = _best_origin(steps, ordered[from_position:position], scores[from_position:], tracklet, price)
        gain = 0.0
        if origin is not None:
            origin = _Origin(origin.position + from_position, origin.change)
            gain = scores[origin.position] - origin.change.cost
        scores.append(tracklet.count + gain)
        came_from.append(origin)
    return _chosen(steps, ordered, came_from, int(np.argmax(scores)))


def _best_origin(
    steps: Steps, earlier: list[_Tracklet], scores: list[float], tracklet: _Tracklet, price: int
) -> _Origin | None:
    """Which of the earlier tracklets a chain through this one had best come from, if any."""
    if not earlier:
        return None
    ends = np.array([other.last for other in earlier])
    direct = (ends < tracklet.first) & steps.plausible(ends, tracklet.first)
    best, gain, weighed = None, 0.0, 0
    for position in sorted(range(len(earlier)), key=lambda position: -scores[position]):
        if earlier[position].first > tracklet.first:
            continue  # it lies within this one, which returned from it: one of the two is wrong as a whole
        least_cost = 0.0 if direct[position] else 1.0 + _CHANGE_BIAS
        if scores[position] - least_cost <= gain:
            continue
        if not direct[position]:
            weighed += 1
        if weighed > _CHANGES_WEIGHED:
            break
        change = _NO_CHANGE if direct[position] else _change(steps, earlier[position], tracklet, price)
        if scores[position] - change.cost > gain:
            best, gain = _Origin(position, change), scores[position] - change.cost
    return best


def _chosen(steps: Steps, ordered: list[_Tracklet], came_from: list[_Origin | None], position: int) -> BoolArray:
    kept = np.zeros(len(steps.seconds), dtype=bool)
    drop_at_end = 0
    while True:
        origin = came_from[position]
        indices = ordered[position].indices()
        drop_at_start = origin.change.drop_after if origin else 0
        kept[indices[drop_at_start : len(indices) - drop_at_end]] = True
        if origin is None:
            return kept
        position, drop_at_end = origin.position, origin.change.drop_before


def _change(steps: Steps, before: _Tracklet, after: _Tracklet, price: int) -> _Change:
    """The cheapest way from one tracklet to a later one: drop fixes on either side, or accept the impossible step."""
    tail, head = before.indices()[::-1], after.indices()
    overlap_tail = int(np.count_nonzero(tail >= after.first))
    overlap_head = int(np.count_nonzero(head <= before.last))
    options = []  # of equally cheap ones the first is taken: as the live filter does, the later fixes are dropped
    later = head[overlap_head : overlap_head + price]
    if (reached := np.flatnonzero(steps.plausible(before.last, later))).size:
        dropped = overlap_head + int(reached[0])
        options.append(_Change(dropped, 0, dropped))
    earlier = tail[overlap_tail : overlap_tail + price]
    if (reached := np.flatnonzero(steps.plausible(earlier, after.first))).size:
        dropped = overlap_tail + int(reached[0])
        options.append(_Change(dropped, dropped, 0))
    options.append(_Change(overlap_head + price, 0, overlap_head))
    options.append(_Change(overlap_tail + price, overlap_tail, 0))
    best = min(options, key=lambda option: option.cost)
    return _Change(best.cost + _CHANGE_BIAS, best.drop_before, best.drop_after)


def _without_short_ends(steps: Steps, kept: BoolArray) -> BoolArray:
    """Drop what an impossible step cuts off at the start and at the end, if it is short."""
    longest = min(max(SHORT_END_FIXES, SHORT_END_SHARE * len(kept)), LONG_END_SHARE * len(kept))
    indices = np.flatnonzero(kept)
    while len(indices) > 1:
        cuts = np.flatnonzero(~steps.plausible(indices[:-1], indices[1:])) + 1
        if len(cuts) and cuts[0] <= longest:
            indices = indices[cuts[0] :]
        elif len(cuts) and len(indices) - cuts[-1] <= longest:
            indices = indices[: cuts[-1]]
        else:
            break
    result = np.zeros(len(kept), dtype=bool)
    result[indices] = True
    return result
