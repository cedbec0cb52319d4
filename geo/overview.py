"""Zoomed-out viewports: at which coarse resolution counts of riders are shown in a box, and which cells it shows.

A viewport is made of squares of a grid in degrees: viewers who look at about the same part of the Earth look at the
same squares, and what they are sent is made once. It holds every cell that has a position in the box, and some around
it. Right across the antimeridian and over the poles.
"""

import math

import h3.api.basic_int as h3
import msgspec

from geo.geodesics import MEAN_RADIUS_METRES
from geo.viewport import Bounds, BoundsError, estimate

MOST_CELLS = 1000
"""About how many cells a viewport has at most, by their average area. The whole Earth has 842 at resolution 1."""
FINEST_AT_ZOOM = ((5.0, 4), (3.5, 3), (2.0, 2), (1.0, 1), (-math.inf, 0))
"""From this zoom level (web map tiles) on, the finest resolution whose cells are some 16 pixels wide."""

_REACH_EDGES = 1.6
"""No position is further from the centre of the cell it belongs to, in average edge lengths: the largest cells' corners
are at 1.2, and finer cells stick out of a coarse one."""
_SQUARES_ALONG = 4
"""A viewport is at least so many squares high and wide, and at most twice as many and two more."""
_SMALLEST_SPAN_DEGREES = 1.0
_COLUMNS_AT_MOST = 1 << 16


class Grid(msgspec.Struct, frozen=True):
    """Squares of 360/2^k by 360/2^m degrees, each with a number."""

    high: float
    wide: float

    def square(self, latitude: float, longitude: float) -> int:
        """The square in which a position (degrees) is."""
        return self.number(self.row(latitude), self.column(longitude))

    def row(self, latitude: float) -> int:
        """Counted from the south pole; the north pole itself is in the last one."""
        return min(int((latitude + 90.0) // self.high), math.ceil(180.0 / self.high) - 1)

    def column(self, longitude: float) -> int:
        """Counted from the antimeridian eastward, for any longitude."""
        return int((longitude + 180.0) // self.wide) % self.columns

    def number(self, row: int, column: int) -> int:
        """The number of a square; columns go on around the Earth."""
        return row * _COLUMNS_AT_MOST + column % self.columns

    @property
    def columns(self) -> int:
        """Squares around the Earth."""
        return round(360.0 / self.wide)


class Overview(msgspec.Struct, frozen=True):
    """A zoomed-out viewport: the resolution of its counts, and its squares. It shows the cells with their centre there.

    `rows` and `columns` are the first and the last; columns go on eastward past the last of the grid.
    """

    resolution: int
    grid: Grid
    rows: tuple[int, int]
    columns: tuple[int, int]

    def squares(self) -> list[int]:
        """The numbers of its squares, each once."""
        south, north = self.rows
        west, east = self.columns
        return [self.grid.number(row, column) for row in range(south, north + 1) for column in range(west, east + 1)]


def overview(bounds: Bounds, zoom: float) -> Overview:
    """How to show counts in a box: at the finest resolution from 0 to 4 that the zoom level and `MOST_CELLS` allow.

    Raises BoundsError (a ValueError).
    """
    bounds.check()
    if not math.isfinite(zoom):
        raise BoundsError("zoom", "must be a finite number")
    finest = next(resolution for from_zoom, resolution in FINEST_AT_ZOOM if zoom >= from_zoom)
    for resolution in range(finest, 0, -1):
        chosen = _on_grid(_widened(bounds, resolution), resolution)
        if estimate(_box(chosen), resolution) <= MOST_CELLS:
            return chosen
    return _on_grid(_widened(bounds, 0), 0)


def _widened(bounds: Bounds, resolution: int) -> Bounds:
    """A box with the centre of every cell that has a position in `bounds`."""
    reach = _REACH_EDGES * float(h3.average_hexagon_edge_length(resolution, unit="m")) / MEAN_RADIUS_METRES
    south = bounds.south - math.degrees(reach)
    north = bounds.north + math.degrees(reach)
    if south <= -90.0 or north >= 90.0:
        return Bounds(-180.0, max(-90.0, south), 180.0, min(90.0, north))
    furthest = math.radians(max(-bounds.south, bounds.north))
    aside = math.degrees(math.asin(math.sin(reach) / math.cos(furthest)))
    if bounds.width + 2.0 * aside >= 360.0:
        return Bounds(-180.0, south, 180.0, north)
    return Bounds(_around(bounds.west - aside), south, _around(bounds.east + aside), north)


def _on_grid(bounds: Bounds, resolution: int) -> Overview:
    height, width = bounds.north - bounds.south, bounds.width
    grid = Grid(_step(max(height, width / _SQUARES_ALONG)), _step(max(width, height / _SQUARES_ALONG)))
    rows = (grid.row(bounds.south), grid.row(bounds.north))
    west = grid.column(bounds.west)
    further = int(((bounds.west + 180.0) % grid.wide + width) // grid.wide)
    if further + 1 >= grid.columns:
        return Overview(resolution, grid, rows, (0, grid.columns - 1))
    return Overview(resolution, grid, rows, (west, west + further))


def _box(chosen: Overview) -> Bounds:
    """The box that the squares make."""
    grid, (south, north), (west, east) = chosen.grid, chosen.rows, chosen.columns
    low, high = south * grid.high - 90.0, min(90.0, (north + 1) * grid.high - 90.0)
    if east - west + 1 == grid.columns:
        return Bounds(-180.0, low, 180.0, high)
    return Bounds(west * grid.wide - 180.0, low, _around((east + 1) * grid.wide - 180.0), high)


def _step(span: float) -> float:
    """The largest 360/2^k degrees, up to 90, of which the span has at least `_SQUARES_ALONG`."""
    halvings = math.ceil(math.log2(360.0 * _SQUARES_ALONG / max(span, _SMALLEST_SPAN_DEGREES)))
    return float(360.0 / 2**halvings)


def _around(longitude: float) -> float:
    return (longitude + 180.0) % 360.0 - 180.0
