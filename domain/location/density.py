"""How many riders are where, for those who are zoomed out: what may be shown of counts. Pure.

Every number that is shown is a sum of parts of at least three riders each, and all numbers at all resolutions are sums
of the same parts: no subtraction of shown numbers leaves one or two riders.
"""

from collections.abc import Mapping
from typing import TypeAlias

from geo import cells

FEWEST_SHOWN = 3
"""Fewer riders than this are not shown."""

Counts: TypeAlias = dict[int, int]
"""Riders by cell; all cells of one resolution."""


def shown_counts(regions: Mapping[int, int]) -> tuple[Counts, ...]:
    """What is shown at the resolutions 0 to 4, from the public riders in each region (a cell of resolution 4).

    A cell shows what its children show, and the riders in children that show nothing once these are together at least
    `FEWEST_SHOWN`; until then they wait for the next coarser cell. So a number is the truth, or at most two below it.
    """
    shown = {region: riders for region, riders in regions.items() if riders >= FEWEST_SHOWN}
    waiting = {region: riders for region, riders in regions.items() if riders < FEWEST_SHOWN}
    levels = [shown]
    for resolution in reversed(range(cells.REGION_RESOLUTION)):
        shown, waiting = _coarser(shown, waiting, resolution)
        levels.append(shown)
    return tuple(reversed(levels))


def _coarser(shown: Counts, waiting: Counts, resolution: int) -> tuple[Counts, Counts]:
    above = _by_parent(shown, resolution)
    gathered = _by_parent(waiting, resolution)
    for cell, riders in gathered.items():
        if riders >= FEWEST_SHOWN:
            above[cell] = above.get(cell, 0) + riders
    return above, {cell: riders for cell, riders in gathered.items() if riders < FEWEST_SHOWN}


def _by_parent(counts: Counts, resolution: int) -> Counts:
    sums: Counts = {}
    for cell, riders in counts.items():
        parent = cells.parent(cell, resolution)
        sums[parent] = sums.get(parent, 0) + riders
    return sums
