"""Distances and directions on the WGS84 ellipsoid.

`distance`, `distances`, `length` and `destination` are geodesic (Karney's algorithm in PROJ, millimetre accuracy) and
are what totals are made of. The `chord` functions are straight lines through the Earth: never longer than the
geodesic, shorter by less than 0.001 % up to 100 km, an order of magnitude cheaper, and indifferent to poles and to the
antimeridian; thresholds are tested with them.
"""

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
from pyproj import Geod

FloatArray: TypeAlias = npt.NDArray[np.float64]

EQUATORIAL_RADIUS_METRES = 6_378_137.0
"""Semi-major axis of WGS84 (NIMA TR8350.2)."""
FLATTENING = 1 / 298.257223563
"""Flattening of WGS84 (NIMA TR8350.2)."""
MEAN_RADIUS_METRES = 6_371_008.8
"""Mean radius of the Earth, (2a + b) / 3 (IUGG)."""

_ECCENTRICITY_SQUARED = FLATTENING * (2 - FLATTENING)
_WGS84 = Geod(ellps="WGS84")


def distance(latitude1: float, longitude1: float, latitude2: float, longitude2: float) -> float:
    """Metres of the geodesic between two positions in degrees."""
    return float(_WGS84.inv(longitude1, latitude1, longitude2, latitude2)[2])


def distances(latitudes: FloatArray, longitudes: FloatArray) -> FloatArray:
    """Metres of the geodesic from each of n positions (degrees) to the next: an array of n - 1."""
    if len(latitudes) < 2:
        return np.zeros(0)
    metres = _WGS84.inv(longitudes[:-1], latitudes[:-1], longitudes[1:], latitudes[1:])[2]
    return np.asarray(metres, dtype=np.float64)


def length(latitudes: FloatArray, longitudes: FloatArray) -> float:
    """Metres along the geodesics through the positions (degrees), in their order; 0 for fewer than two."""
    return float(distances(latitudes, longitudes).sum())


def destination(latitude: float, longitude: float, azimuth: float, metres: float) -> tuple[float, float]:
    """Latitude and longitude (degrees) reached by going `metres` along the geodesic that starts towards `azimuth`.

    The azimuth is in degrees clockwise from north.
    """
    to_longitude, to_latitude, _ = _WGS84.fwd(longitude, latitude, azimuth, metres)
    return float(to_latitude), float(to_longitude)


def chord(latitude1: float, longitude1: float, latitude2: float, longitude2: float) -> float:
    """Metres of the straight line between two positions (degrees) on the ellipsoid, through the Earth."""
    x1, y1, z1 = _cartesian(latitude1, longitude1)
    x2, y2, z2 = _cartesian(latitude2, longitude2)
    return math.sqrt((x2 - x1) ** 2 + (y2 - y1) ** 2 + (z2 - z1) ** 2)


def _cartesian(latitude: float, longitude: float) -> tuple[float, float, float]:
    phi, lam = math.radians(latitude), math.radians(longitude)
    sine, cosine = math.sin(phi), math.cos(phi)
    normal = EQUATORIAL_RADIUS_METRES / math.sqrt(1 - _ECCENTRICITY_SQUARED * sine * sine)
    return (
        normal * cosine * math.cos(lam),
        normal * cosine * math.sin(lam),
        normal * (1 - _ECCENTRICITY_SQUARED) * sine,
    )


def cartesian(latitudes: FloatArray, longitudes: FloatArray) -> FloatArray:
    """Earth-centred coordinates in metres, shape (n, 3), of n positions (degrees) at height 0."""
    phi, lam = np.radians(latitudes), np.radians(longitudes)
    sine, cosine = np.sin(phi), np.cos(phi)
    normal = EQUATORIAL_RADIUS_METRES / np.sqrt(1 - _ECCENTRICITY_SQUARED * sine * sine)
    points = np.empty((len(phi), 3))
    points[:, 0] = normal * cosine * np.cos(lam)
    points[:, 1] = normal * cosine * np.sin(lam)
    points[:, 2] = normal * (1 - _ECCENTRICITY_SQUARED) * sine
    return points


def chords(start: FloatArray, end: FloatArray) -> FloatArray:
    """Metres of the straight lines between points of `cartesian`, shapes (n, 3) or (3,): an array of n."""
    difference = end - start
    return np.asarray(np.sqrt(np.einsum("...i,...i->...", difference, difference)))
