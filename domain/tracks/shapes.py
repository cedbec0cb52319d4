"""What is drawn of a track: its line for a zoom level, its profile, its picture. All without what zones hide.

Promises bounded memory and time whatever the track: `columns.MOST_FIXES` of it are read, `SHAPES_AT_ONCE` are made at a
time on one node, on a thread. Others wait their turn, and are told `unavailable` when that takes too long.
"""

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.db.driver import reading
from domain.db.engine import unavailable_when_down
from domain.tracks.columns import Shown, read_copy, shown_of
from domain.tracks.library import Track
from domain.tracks.picture import Theme, draw
from domain.zones.service import Mask
from geo.geodesics import FloatArray
from geo.lines import simplified
from geo.mercator import metres_per_pixel, project
from geo.profile import Profile, profile

S = TypeVar("S")

SHAPES_AT_ONCE = 2
SHAPE_SECONDS = 25.0
MOST_VERTICES = 20_000
"""Vertices of a geometry; it is simplified further until it has no more."""
FINEST_TOLERANCE_METRES = 0.25
"""Positions are not known better than this."""
_TOLERANCE_PIXELS = 0.5
_METRES_PER_DEGREE = 111_320.0


@dataclass(frozen=True)
class TrackLine:
    """A track's line: parts of [longitude, latitude] pairs in degrees; no part joins what a gap or a zone divides.

    `tolerance_metres`: no fix that is shown is further from the line than this. `bounds`: west, south, east, north.
    """

    parts: list[list[list[float]]]
    tolerance_metres: float
    bounds: tuple[float, float, float, float] | None


class TrackShapes:
    """Makes shapes of tracks. Every method raises Unavailable when Postgres is away, or too many want shapes."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._turns = asyncio.Semaphore(SHAPES_AT_ONCE)

    async def line(self, track: Track, mask: Mask, zoom: int) -> TrackLine:
        """The line for a zoom level of 512-pixel tiles."""
        return await self._make(track, mask, lambda shown: line_of(shown, zoom))

    async def profile(self, track: Track, mask: Mask, points: int) -> Profile:
        """Elevation and speed with at most so many points."""
        return await self._make(
            track, mask, lambda shown: profile(shown.track, shown.starts, shown.hidden_before, points)
        )

    async def picture(self, track: Track, mask: Mask, width: int, height: int, theme: Theme) -> str:
        """The picture as SVG; sizes in pixels."""
        return await self._make(track, mask, lambda shown: draw(shown, width, height, theme))

    async def _make(self, track: Track, mask: Mask, shape: Callable[[Shown], S]) -> S:
        async with unavailable_when_down(), asyncio.timeout(SHAPE_SECONDS), self._turns:
            async with reading(self._engine) as driver:
                data = await read_copy(driver, track)
            return await asyncio.to_thread(lambda: shape(shown_of(data, mask)))


def line_of(shown: Shown, zoom: int) -> TrackLine:
    """The line of a track for a zoom level."""
    track = shown.track
    if len(track) == 0:
        return TrackLine([], FINEST_TOLERANCE_METRES, None)
    shrink = math.cos(math.radians(float(np.median(track.latitude))))
    wanted = max(_TOLERANCE_PIXELS * metres_per_pixel(zoom), FINEST_TOLERANCE_METRES / max(shrink, 0.01))
    starts = shown.starts | (np.abs(np.diff(track.longitude, prepend=track.longitude[0])) > 180.0)  # RFC 7946, 3.1.9
    parts, tolerance = simplified(project(track.latitude, track.longitude), starts, wanted, MOST_VERTICES)
    digits = _digits(tolerance * shrink)
    positions: FloatArray = np.column_stack((track.longitude, track.latitude)).round(digits)
    lines = [_at_least_two(positions[part].tolist()) for part in parts]
    return TrackLine(lines, round(tolerance * shrink, 3), _bounds(positions))


def _bounds(positions: FloatArray) -> tuple[float, float, float, float]:
    """West, south, east and north; west is greater than east for a track across the antimeridian (RFC 7946, 5.2)."""
    longitudes = np.unwrap(positions[:, 0], period=360.0)
    west, east = float(longitudes.min()), float(longitudes.max())
    if east - west >= 360.0:
        west, east = -180.0, 180.0
    south, north = float(positions[:, 1].min()), float(positions[:, 1].max())
    return _wrapped(west), south, _wrapped(east), north


def _wrapped(longitude: float) -> float:
    return longitude if -180.0 <= longitude <= 180.0 else round((longitude + 180.0) % 360.0 - 180.0, 7)


def _digits(tolerance_metres: float) -> int:
    """Decimals of a degree that move a vertex by less than a quarter of the tolerance."""
    return int(np.clip(math.ceil(-math.log10(tolerance_metres / 2 / _METRES_PER_DEGREE)), 2, 7))


def _at_least_two(part: list[list[float]]) -> list[list[float]]:
    """GeoJSON has no line of one position: a lone fix is there twice."""
    return part if len(part) > 1 else part * 2
