"""Privacy zones: circles in which a rider is shown to nobody, and the displacement that keeps their centre secret.

`inside` errs towards hiding: it also covers what a coordinate rounded to 1e-5 degree for the wire could give away.
Keeping the secret and storing the zone are left to `domain.zones`.
"""

import hashlib
import math
from collections.abc import Collection, Iterable

import msgspec
import numpy as np
import numpy.typing as npt

from geo.geodesics import EQUATORIAL_RADIUS_METRES, FloatArray, cartesian, chord, chords, destination

ROUNDING_MARGIN_METRES = 2.0
"""Rounding to 1e-5 degree moves a position by up to 0.79 m; twice that, and a little for double precision."""
SMALLEST_OFFSET = 0.15
"""A displaced centre is at least this share of the radius away from the place."""
LARGEST_OFFSET = 0.5
"""A displaced centre is at most this share of the radius away from the place."""
ENLARGEMENT = 1 + LARGEST_OFFSET
"""A displaced zone is always larger by this factor, so that its radius does not tell how far it was displaced."""


class Zone(msgspec.Struct, frozen=True):
    """A circle on the map: centre in degrees, radius in metres."""

    latitude: float
    longitude: float
    radius_metres: float


EVERYWHERE = Zone(0.0, 0.0, 2 * EQUATORIAL_RADIUS_METRES)
"""Holds every position: what hides a rider whose zones cannot be read."""


def inside(zones: Collection[Zone], latitude: float, longitude: float) -> bool:
    """Whether a position (degrees) is in one of the zones, or so close to it that its rounded coordinates may be."""
    return bool(zones) and any(
        chord(zone.latitude, zone.longitude, latitude, longitude) <= zone.radius_metres + ROUNDING_MARGIN_METRES
        for zone in zones
    )


def inside_each(zones: Iterable[Zone], latitudes: FloatArray, longitudes: FloatArray) -> npt.NDArray[np.bool_]:
    """`inside` for each of n positions (degrees): an array of shape (n,)."""
    covered = np.zeros(len(latitudes), dtype=np.bool_)
    points = cartesian(latitudes, longitudes)
    for zone in zones:
        centre = cartesian(np.array([zone.latitude]), np.array([zone.longitude]))[0]
        covered |= chords(points, centre) <= zone.radius_metres + ROUNDING_MARGIN_METRES
    return covered


def displace(latitude: float, longitude: float, radius_metres: float, secret: bytes) -> Zone:
    """The zone to use for a place: displaced by a secret offset, and still covering the whole circle around the place.

    The same secret gives the same zone; with 16 random bytes, kept or thrown away but never shown, the offset is
    uniform over a ring around the place and cannot be guessed. The zone's radius is `ENLARGEMENT` times the place's.
    """
    digest = hashlib.sha256(b"zone displacement" + secret).digest()
    turn, reach = (int.from_bytes(digest[at : at + 8], "big") / 2**64 for at in (0, 8))
    low, high = SMALLEST_OFFSET**2, LARGEST_OFFSET**2
    offset = radius_metres * math.sqrt(low + reach * (high - low))  # the root makes it uniform over the ring's area
    moved_latitude, moved_longitude = destination(latitude, longitude, 360.0 * turn, offset)
    return Zone(moved_latitude, moved_longitude, radius_metres * ENLARGEMENT)
