"""Which sequence numbers imported fixes have: those that our own export wrote, or their order in the file.

Pure. Numbers of a file are kept when each is there once and `track:stop` could name those that are missing; the track
is then, number by number, the one that was exported.
"""

from array import array
from typing import NamedTuple

import numpy as np

MOST_LOST_RANGES = 1_000
"""Ranges of missing numbers, as `track:stop` takes them from phones."""


class Numbering(NamedTuple):
    """How the fixes of one track are numbered; `lost` are closed ranges of numbers that no fix has."""

    from_file: bool
    last_seq: int
    lost: list[tuple[int, int]]


def numbering_of(seqs: "array[int]", count: int) -> Numbering:
    """The numbering of `count` fixes, of which those that have a number in the file have these."""
    in_order = Numbering(False, count - 1, [])
    if not count or len(seqs) != count:
        return in_order
    numbers = np.unique(np.array(seqs, dtype=np.int64))
    if len(numbers) != count:
        return in_order
    before = np.concatenate(([-1], numbers[:-1]))
    holes = np.flatnonzero(numbers - before > 1)
    if len(holes) > MOST_LOST_RANGES:
        return in_order
    lost = list(zip((before[holes] + 1).tolist(), (numbers[holes] - 1).tolist(), strict=True))
    return Numbering(True, int(numbers[-1]), lost)
