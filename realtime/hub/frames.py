"""What a `location:frame` holds: small integers, as offsets from the topic's origin."""

from collections.abc import Iterable
from typing import TypeAlias

import msgspec

from realtime.hub.records import LiveRecord

FRAME_EVENT = "location:frame"
DEGREE_E5 = 100_000
_FULL_TURN = 360 * DEGREE_E5
_HALF_TURN = 180 * DEGREE_E5

Origin: TypeAlias = tuple[int, int]
"""Latitude and longitude in units of 1e-5 degrees."""
Row: TypeAlias = tuple[int, int, int, int, int, int]
"""rider, offsets of latitude and longitude (1e-5°), heading (2° steps), speed (dm/s), age (ticks); -1 is unknown."""


class Frame(msgspec.Struct, frozen=True, omit_defaults=True):
    """What changed on one topic: who is where, and who is `gone` from this topic.

    A snapshot replaces all that the listener knew of the topic, and brings the origin that later frames refer to; on
    a topic where nobody has been seen yet there is none.
    """

    topic: str
    origin: tuple[float, float] | None = None
    riders: list[Row] = []
    gone: list[int] = []
    snapshot: bool = False


def eastward(longitude_e5: int, origin_e5: int) -> int:
    """The offset of a longitude from the origin's, the short way round the Earth."""
    offset = longitude_e5 - origin_e5
    if -_HALF_TURN <= offset <= _HALF_TURN:
        return offset
    return offset - _FULL_TURN if offset > 0 else offset + _FULL_TURN


def rows(records: Iterable[LiveRecord], origin: Origin, now_ms: int, tick_ms: int) -> list[Row]:
    """The records as rows of a frame; a record from a clock ahead of ours is as old as a new one."""
    north, east = origin
    return [
        (
            record.rider,
            record.latitude_e5 - north,
            eastward(record.longitude_e5, east),
            record.heading,
            record.speed,
            max(0, now_ms - record.received_ms) // tick_ms,
        )
        for record in records
    ]


def degrees(origin: Origin) -> tuple[float, float]:
    """An origin as it is sent."""
    return origin[0] / DEGREE_E5, origin[1] / DEGREE_E5


def middle(records: Iterable[LiveRecord], near: Origin) -> Origin:
    """The mean position of at least one record; `near` says on which side of the antimeridian to count."""
    offsets = [(record.latitude_e5, eastward(record.longitude_e5, near[1])) for record in records]
    latitude = sum(offset[0] for offset in offsets) // len(offsets)
    longitude = near[1] + sum(offset[1] for offset in offsets) // len(offsets)
    return latitude, eastward(longitude, 0)
