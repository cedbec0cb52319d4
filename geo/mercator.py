"""Web Mercator (EPSG:3857), the projection of map tiles: positions as metres on the flat map, and zoom levels."""

import math

import numpy as np

from geo.geodesics import EQUATORIAL_RADIUS_METRES, FloatArray

NORTHERNMOST = math.degrees(math.atan(math.sinh(math.pi)))
"""Degrees of latitude at which the square map ends, 85.05; what lies beyond is drawn on the edge."""
TILE_PIXELS = 512
"""Pixels of a tile's side, as MapLibre counts zoom levels."""


def project(latitudes: FloatArray, longitudes: FloatArray) -> FloatArray:
    """Map metres east and north, shape (n, 2), of n positions (degrees) that follow one another.

    A track across the antimeridian goes on beyond the edge of the map instead of jumping to the other one.
    """
    bounded = np.radians(np.clip(latitudes, -NORTHERNMOST, NORTHERNMOST))
    east = np.radians(np.unwrap(longitudes, period=360.0))
    return np.column_stack((east, np.arctanh(np.sin(bounded)))) * EQUATORIAL_RADIUS_METRES


def metres_per_pixel(zoom: int) -> float:
    """Map metres of a pixel at this zoom level; on the ground it is less by the cosine of the latitude."""
    return math.ldexp(2 * math.pi * EQUATORIAL_RADIUS_METRES / TILE_PIXELS, -zoom)
