"""Viewports: which cells a map shows, at a resolution coarse enough for a phone to follow.

A cover is every cell that overlaps the box, plus one ring, so that riders are heard of before they come into view. It
is right across the antimeridian, over the poles and around pentagons, and is estimated before it is made: a box that is
too large for the coarsest resolution costs next to nothing and is answered with None (the viewer gets counts instead).
"""

import math
from collections.abc import Iterator
from itertools import pairwise

import h3.api.basic_int as h3
import msgspec

from geo import cells
from geo.geodesics import MEAN_RADIUS_METRES

LARGEST_COVER = 64
"""Cells that one viewport may need."""
FINEST_AT_ZOOM = ((10.0, 9), (6.0, 7), (-math.inf, 5))
"""From this zoom level (web map tiles) on, the finest resolution that helps: below it a cell is under a few pixels."""

_WIDEST_PART_DEGREES = 90.0
"""H3 reads an edge of 180° or more the other way round the Earth; parts stay well below."""
_ESTIMATE_SLACK = 2.0
"""Cells differ in area by up to a factor of about 1.7 from their average: a box is covered when the estimate is within
this factor of what is allowed."""
_SAMPLE_EDGES = 0.5
"""Distance between sampled positions, in edge lengths; a cell is 1.7 edges wide, the most distorted about 1.3."""
_PLANAR_UP_TO_DEGREES = 85.0
"""Web maps end here. Beyond, H3's test in the plane of degrees takes a second for a box around the pole."""


class BoundsError(ValueError):
    """A bounding box that is none; `field` names the side at fault, `message` says what it must be."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field} {message}")
        self.field = field
        self.message = message


class Bounds(msgspec.Struct, frozen=True, array_like=True):
    """A box in degrees, in the order of GeoJSON; `west` greater than `east` crosses the antimeridian.

    -180 to 180 is the whole way round. Checked by `check`, which `cover` calls.
    """

    west: float
    south: float
    east: float
    north: float

    def check(self) -> None:
        """Raises BoundsError when a side is not finite or out of range, or south lies above north."""
        for field, limit in (("west", 180), ("south", 90), ("east", 180), ("north", 90)):
            if not -limit <= getattr(self, field) <= limit:  # also refuses NaN
                raise BoundsError(field, f"must be a finite number of degrees between -{limit} and {limit}")
        if self.south > self.north:
            raise BoundsError("south", "must not be greater than north")

    @property
    def width(self) -> float:
        """Degrees of longitude from west to east, from 0 to 360."""
        return self.east - self.west if self.west <= self.east else self.east - self.west + 360.0

    def contains(self, latitude: float, longitude: float) -> bool:
        """Whether a position (degrees) is in the box, edges included."""
        if not self.south <= latitude <= self.north:
            return False
        if self.west <= self.east:
            return self.west <= longitude <= self.east
        return longitude >= self.west or longitude <= self.east


class Cover(msgspec.Struct, frozen=True):
    """The cells of a viewport, all of one resolution."""

    resolution: int
    cells: frozenset[int]


def cover(bounds: Bounds, zoom: float, max_cells: int = LARGEST_COVER) -> Cover | None:
    """The finest cover with at most `max_cells` cells, ring included; None when even the coarsest needs more.

    A low zoom makes the cover coarser than its size alone would, never finer. Raises BoundsError (a ValueError).
    """
    bounds.check()
    if not math.isfinite(zoom):
        raise BoundsError("zoom", "must be a finite number")
    finest = next(resolution for from_zoom, resolution in FINEST_AT_ZOOM if zoom >= from_zoom)
    for resolution in reversed(cells.TOPIC_RESOLUTIONS):
        if resolution > finest or estimate(bounds, resolution) > max_cells * _ESTIMATE_SLACK:
            continue
        found = _ring_around(_overlapping(bounds, resolution))
        if len(found) <= max_cells:
            return Cover(resolution, found)
    return None


def estimate(bounds: Bounds, resolution: int) -> float:
    """About how many cells a cover with its ring has, from areas alone (Steiner's formula for the widened box)."""
    edge: float = h3.average_hexagon_edge_length(resolution, unit="m")
    cell_area: float = h3.average_hexagon_area(resolution, unit="m^2")
    south, north = math.radians(bounds.south), math.radians(bounds.north)
    around = math.radians(bounds.width) * MEAN_RADIUS_METRES
    area = around * MEAN_RADIUS_METRES * (math.sin(north) - math.sin(south))
    parallels = around * (math.cos(south) + math.cos(north))
    meridians = 2 * (north - south) * MEAN_RADIUS_METRES if bounds.width < 360.0 else 0.0
    widened_by = edge * (1.0 + math.sqrt(3.0))  # a cell whose ring reaches the box has its centre this near, at most
    return (area + (parallels + meridians) * widened_by + math.pi * widened_by**2) / cell_area


def _overlapping(bounds: Bounds, resolution: int) -> set[int]:
    """The cells that overlap the box: by H3's planar test, and by sampling where that is blind (see `_samples`)."""
    found = {int(h3.latlng_to_cell(*position, resolution)) for position in _samples(bounds, resolution)}
    if max(-bounds.south, bounds.north) > _PLANAR_UP_TO_DEGREES:
        return found
    for west, east in _parts(bounds):
        if west < east and bounds.south < bounds.north:
            corners = [(bounds.south, west), (bounds.south, east), (bounds.north, east), (bounds.north, west)]
            found.update(h3.polygon_to_cells_experimental(h3.LatLngPoly(corners), resolution, contain="overlap"))
    return found


def _parts(bounds: Bounds) -> Iterator[tuple[float, float]]:
    """West and east of narrow pieces of the box, none across the antimeridian."""
    spans = [(bounds.west, bounds.east)]
    if bounds.west > bounds.east:
        spans = [(bounds.west, 180.0), (-180.0, bounds.east)]
    for west, east in spans:
        count = max(1, math.ceil((east - west) / _WIDEST_PART_DEGREES))
        edges = [west + (east - west) * step / count for step in range(count + 1)]
        edges[-1] = east
        yield from pairwise(edges)


def _samples(bounds: Bounds, resolution: int) -> Iterator[tuple[float, float]]:
    """Positions (degrees) over the box, nearer to each other than a cell is wide.

    H3's test is planar in degrees: it cannot see cells that contain a pole or reach across the antimeridian, nor boxes
    without an area. Every cell there holds a sample or touches one that does.
    """
    edge: float = h3.average_hexagon_edge_length(resolution, unit="m")
    step = math.degrees(edge * _SAMPLE_EDGES / MEAN_RADIUS_METRES)
    for latitude in _spread(bounds.south, bounds.north, step):
        shrink = max(math.cos(math.radians(latitude)), 1e-9)
        for turn in _spread(0.0, bounds.width, min(step / shrink, 360.0)):
            longitude = bounds.west + turn
            yield latitude, longitude - 360.0 if longitude > 180.0 else longitude


def _spread(low: float, high: float, step: float) -> Iterator[float]:
    """Values from low to high inclusive, at most `step` apart."""
    count = max(1, math.ceil((high - low) / step))
    for index in range(count):
        yield low + (high - low) * index / count
    yield high


def _ring_around(found: set[int]) -> frozenset[int]:
    return frozenset(neighbour for cell in found for neighbour in h3.grid_disk(cell, 1))
