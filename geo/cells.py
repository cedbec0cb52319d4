"""H3 cells: which hexagon a position is in, at the resolutions that topics and regions use.

Only resolution 9 is computed from coordinates; everything coarser is `parent` of that, so that every node puts a fix
on the same cells (the two ways differ for 6 % of points). Cells are 64-bit integers; `name` is their text in topics.
"""

import re
from functools import lru_cache

import h3.api.basic_int as h3

FIX_RESOLUTION = 9
"""The resolution at which a fix is put on a cell; edge about 201 m."""
REGION_RESOLUTION = 4
"""The resolution of regions, the unit in which nodes exchange positions; edge about 26 km."""
TOPIC_RESOLUTIONS = (5, 7, 9)
"""The resolutions at which cells can be watched, coarsest first; edges about 9.9 km, 1.4 km and 201 m."""

_CELL_NAME = re.compile(r"8[0-9a-f]{14}")
_PARENTS_CACHED = 65_536
"""Riders move slowly between cells: a city's worth of cells answers nearly every question."""


def cell_at(latitude: float, longitude: float) -> int:
    """The resolution 9 cell of a position in degrees."""
    return int(h3.latlng_to_cell(latitude, longitude, FIX_RESOLUTION))


@lru_cache(maxsize=_PARENTS_CACHED)
def parent(cell: int, resolution: int) -> int:
    """The coarser cell that `cell` belongs to (itself at its own resolution). Raises ValueError when it is finer."""
    return int(h3.cell_to_parent(cell, resolution))


def resolution_of(cell: int) -> int:
    """The resolution of a cell, from 0 (continents) to 15 (a square metre)."""
    return int(h3.get_resolution(cell))


def centre(cell: int) -> tuple[float, float]:
    """The centre of a cell: latitude and longitude in degrees."""
    latitude, longitude = h3.cell_to_latlng(cell)
    return float(latitude), float(longitude)


def disk(cell: int, rings: int) -> list[int]:
    """The cell and its neighbours up to `rings` steps away (fewer around the twelve pentagons)."""
    return list(h3.grid_disk(cell, rings))


def name(cell: int) -> str:
    """The hexadecimal text of a cell, as H3 writes it."""
    return f"{cell:x}"


def from_name(text: str) -> int:
    """The cell with this hexadecimal text. Raises ValueError when there is none."""
    cell = int(text, 16) if _CELL_NAME.fullmatch(text) else 0
    if not h3.is_valid_cell(cell):
        raise ValueError(f"{text!r} is not an H3 cell")
    return cell
