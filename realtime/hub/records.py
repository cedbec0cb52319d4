"""What is known of a rider who is live: a position, or that it was taken away, each with its rank.

The rank is (generation, version): the generation rises whenever a node takes a rider over, the version with every
change under it. Merging keeps the higher rank, in any order of arrival; at the same rank a removal wins. Both kinds
are packed into rows of one fixed width (`realtime.bus.rows`), whose first bytes compare like the rank.
"""

import struct
from collections.abc import Iterator
from typing import TypeAlias

import msgspec

from realtime.bus.rows import ROW_BYTES

_ROW = struct.Struct(">QQBQQiihhQ")
_POSITION = 0
_REMOVAL = 1
assert _ROW.size == ROW_BYTES  # noqa: S101 - a layout that disagrees with the bus must not start

UNKNOWN = -1
"""Heading or speed that the phone did not send."""


class LiveRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Where a rider was last seen.

    Latitude and longitude in units of 1e-5 degrees, heading in steps of 2° clockwise from north, speed in decimetres
    per second (both -1 when unknown), `received_ms` by the server's clock, `cell` the H3 cell at resolution 9.
    """

    rider: int
    generation: int
    version: int
    latitude_e5: int
    longitude_e5: int
    heading: int
    speed: int
    received_ms: int
    cell: int


class Tombstone(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A rider was taken off a channel at `at_ms` (the server's clock)."""

    rider: int
    generation: int
    version: int
    at_ms: int


Item: TypeAlias = LiveRecord | Tombstone
Rank: TypeAlias = tuple[int, int, int]


def rank(item: Item) -> Rank:
    """What decides between two items of one rider on one channel: the higher is the truth."""
    return (item.generation, item.version, _POSITION if type(item) is LiveRecord else _REMOVAL)


def outranks(item: Item, known: Item) -> bool:
    """Whether `item` has the higher rank: the same order as `rank`, without making tuples."""
    if item.generation != known.generation:
        return item.generation > known.generation
    if item.version != known.version:
        return item.version > known.version
    return type(item) is Tombstone and type(known) is LiveRecord


def moment_ms(item: Item) -> int:
    """When the item was made, in milliseconds since the epoch; it is forgotten once that is too long ago."""
    return item.received_ms if isinstance(item, LiveRecord) else item.at_ms


def pack(item: Item) -> bytes:
    """The item as one row. Raises struct.error when a number does not fit its field."""
    if isinstance(item, LiveRecord):
        return _ROW.pack(
            item.generation,
            item.version,
            _POSITION,
            item.received_ms,
            item.rider,
            item.latitude_e5,
            item.longitude_e5,
            item.heading,
            item.speed,
            item.cell,
        )
    return _ROW.pack(item.generation, item.version, _REMOVAL, item.at_ms, item.rider, 0, 0, 0, 0, 0)


def unpack(rows: bytes) -> Iterator[Item]:
    """The items of a batch of rows. Raises ValueError when the batch is not made of whole rows."""
    if len(rows) % ROW_BYTES:
        raise ValueError(f"a batch of {len(rows)} bytes is not made of rows of {ROW_BYTES}")
    for generation, version, kind, at, rider, latitude, longitude, heading, speed, cell in _ROW.iter_unpack(rows):
        if kind == _POSITION:
            yield LiveRecord(rider, generation, version, latitude, longitude, heading, speed, at, cell)
        else:
            yield Tombstone(rider, generation, version, at)
