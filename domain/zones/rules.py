"""What a privacy zone may be, how its place is hidden, and how it is sealed: decisions only, no I/O."""

import hashlib
import hmac
import struct
from uuid import UUID

import msgspec

from domain.kit.errors import Invalid
from domain.kit.sealed import Sealer
from domain.kit.text import clean
from geo import cells
from geo.zones import Zone, displace

MOST_ZONES = 20
"""Zones one rider may have."""
LONGEST_NAME = 60
SMALLEST_RADIUS_METRES = 100.0
LARGEST_RADIUS_METRES = 5_000.0

_SAME_PLACE_RESOLUTION = 6
"""H3: zones of one rider and one radius within the same cell (some kilometres) are displaced by the same offset."""


class Place(msgspec.Struct, frozen=True):
    """A zone as its rider drew it: degrees (WGS84) and metres."""

    name: str
    latitude: float
    longitude: float
    radius_metres: float


class Secret(msgspec.Struct, frozen=True, array_like=True):
    """What is sealed: the place as drawn, for its rider's eyes only, and the displaced zone that cuts positions off."""

    place: Place
    hidden_latitude: float
    hidden_longitude: float
    hidden_radius_metres: float

    @property
    def hidden(self) -> Zone:
        """The zone in which positions are not shown."""
        return Zone(self.hidden_latitude, self.hidden_longitude, self.hidden_radius_metres)


def check_place(place: Place) -> Place:
    """The place as it is kept. Raises Invalid, naming the field."""
    name = clean(place.name, "name", longest=LONGEST_NAME)
    if not -90.0 <= place.latitude <= 90.0:
        raise Invalid("must be a finite number of degrees between -90 and 90", field="latitude")
    if not -180.0 <= place.longitude <= 180.0:
        raise Invalid("must be a finite number of degrees between -180 and 180", field="longitude")
    if not SMALLEST_RADIUS_METRES <= place.radius_metres <= LARGEST_RADIUS_METRES:
        message = f"must be between {SMALLEST_RADIUS_METRES:g} and {LARGEST_RADIUS_METRES:g} metres"
        raise Invalid(message, field="radius_metres")
    return Place(name, place.latitude, place.longitude, place.radius_metres)


def hide(place: Place, user_id: UUID, secret: bytes) -> Secret:
    """The place with its displaced zone.

    The offset follows from the secret, the rider, the neighbourhood and the radius, so that drawing a zone again does
    not give a new offset every time, the middle of which would be the place. The radius is part of it because offsets
    in one direction, each in proportion to its radius, would point back at the place.
    """
    cell = cells.parent(cells.cell_at(place.latitude, place.longitude), _SAME_PLACE_RESOLUTION)
    about = user_id.bytes + cell.to_bytes(8, "big") + struct.pack(">d", place.radius_metres)
    offset = hmac.digest(secret, about, hashlib.sha256)
    zone = displace(place.latitude, place.longitude, place.radius_metres, offset)
    return Secret(place, zone.latitude, zone.longitude, zone.radius_metres)


def seal_zone(sealer: Sealer, user_id: UUID, secret: Secret) -> bytes:
    """The sealed form, which opens for this rider only."""
    return sealer.seal(msgspec.msgpack.encode(secret), _bound_to(user_id))


def open_zone(sealer: Sealer, user_id: UUID, sealed: bytes) -> Secret:
    """What was sealed. Raises SealBroken."""
    return msgspec.msgpack.decode(sealer.open(sealed, _bound_to(user_id)), type=Secret)


def _bound_to(user_id: UUID) -> str:
    return f"zone:{user_id}"
