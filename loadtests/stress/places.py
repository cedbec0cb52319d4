"""Where the riders of a run ride: on both sides of a border between two regions, which some of them cross."""

from random import Random

from geo import cells
from loadtests.stress.ride import UNITS, Place

_SOUTH, _EAST = 4_650_000, 830_000
_SEARCHED = 100_000
_SPREAD = 600
_APART = 37


def starts_at_a_border(count: int, random: Random) -> tuple[Place, list[Place]]:
    """The middle of it all, and a place to start for each; riders go north, over the border."""
    border = _border_north_of(_SOUTH, _EAST)
    starts = [(border - random.randrange(_SPREAD), _EAST + number * _APART) for number in range(count)]
    return (border, _EAST), starts


def _border_north_of(south: int, east: int) -> int:
    """The latitude (1e-5 degrees) at which the region changes on the way north."""
    here = _region(south, east)
    low, high = south, next(north for north in range(south, south + _SEARCHED, 500) if _region(north, east) != here)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if _region(middle, east) == here else (low, middle)
    return high


def _region(north: int, east: int) -> int:
    return cells.parent(cells.cell_at(north / UNITS, east / UNITS), cells.REGION_RESOLUTION)
