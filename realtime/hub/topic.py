"""One topic that somebody on this node listens to: who is on it, and what changed since the last tick."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from geo import cells
from realtime.hub.frames import (
    DEGREE_E5,
    FRAME_EVENT,
    Frame,
    Origin,
    degrees,
    middle,
    rows,
)
from realtime.hub.records import LiveRecord
from realtime.hub.topics import cell_of, channel_of
from realtime.wire.packets import Lane, Packet

if TYPE_CHECKING:
    from realtime.hub.listeners import Hearing

_FURTHEST_E5 = DEGREE_E5 // 2
"""A topic without a cell gets a new origin when its riders' middle is further away than half a degree."""


class Encode(Protocol):
    """Writes a packet once for any number of listeners (`realtime.wire.packets.encode_event`)."""

    def __call__(self, name: str, payload: object, /, *, lane: Lane) -> Packet:
        """The packet of an event with one argument, in a lane of the wire."""
        ...


class Topic:
    """Riders on one topic. `dirty` is where it puts itself down when something changed."""

    __slots__ = (
        "_cached",
        "_cached_tick",
        "_dirty",
        "admitted",
        "arrived_or_left",
        "cell",
        "changed",
        "channel",
        "gone",
        "members",
        "name",
        "origin",
        "waiting",
    )

    def __init__(self, name: str, dirty: set[Topic]) -> None:
        self.name = name
        self.channel = channel_of(name)
        self.cell = cell_of(name)
        self.origin: Origin | None = None if self.cell is None else _centre(self.cell)
        self.members: dict[int, LiveRecord] = {}
        self.changed: set[int] = set()
        self.gone: set[int] = set()
        self.arrived_or_left = False
        """Whether somebody came or went since the last frame, and not only moved."""
        self.waiting: set[Hearing] = set()
        """Listeners that have not had their snapshot yet."""
        self.admitted: dict[Hearing, None] = {}
        """Listeners that hear the ticks."""
        self._dirty = dirty
        self._cached: Packet | None = None
        self._cached_tick = -1

    def show(self, record: LiveRecord) -> None:
        """The rider is on this topic, here."""
        rider = record.rider
        if rider not in self.members:
            self.arrived_or_left = True
        self.members[rider] = record
        self.changed.add(rider)
        self.gone.discard(rider)
        self._cached = None
        self._dirty.add(self)

    def hide(self, rider: int) -> None:
        """The rider is not on this topic any more."""
        if self.members.pop(rider, None) is not None:
            self.changed.discard(rider)
            self.gone.add(rider)
            self.arrived_or_left = True
            self._cached = None
            self._dirty.add(self)

    def can_wait(self, crowd: int) -> bool:
        """Whether what changed may wait for the next tick: nobody came or went, and there is a crowd that moves.

        Who comes or goes is shown at once, so that a rider who crosses from topic to topic is one dot at every tick.
        """
        return not self.arrived_or_left and len(self.members) >= crowd

    def arrivals(self, encode: Encode, tick: int, now_ms: int, tick_ms: int) -> Packet | None:
        """What moved since the last tick, or a snapshot when the origin had to change; None when nothing did."""
        changed, self.changed = self.changed, set()
        self.arrived_or_left = False
        if not changed or not self.admitted:
            return None
        if self._moves_origin(changed):
            self.gone.clear()
            return self.snapshot(encode, tick, now_ms, tick_ms)
        assert self.origin is not None  # noqa: S101 - _moves_origin has seen to it
        records = [self.members[rider] for rider in changed]
        return encode(FRAME_EVENT, Frame(self.name, riders=rows(records, self.origin, now_ms, tick_ms)), lane=Lane.LIVE)

    def departures(self, encode: Encode) -> Packet | None:
        """Who left since the last tick; None when nobody did."""
        gone, self.gone = self.gone, set()
        if not gone or not self.admitted:
            return None
        return encode(FRAME_EVENT, Frame(self.name, gone=list(gone)), lane=Lane.LIVE)

    def snapshot(self, encode: Encode, tick: int, now_ms: int, tick_ms: int) -> Packet:
        """All who are on it; encoded once a tick as long as nothing changes."""
        if self._cached is None or self._cached_tick != tick:
            if self.origin is None and self.members:
                self._moves_origin(self.members)
            origin = self.origin
            frame = Frame(
                self.name,
                origin=None if origin is None else degrees(origin),
                riders=[] if origin is None else rows(self.members.values(), origin, now_ms, tick_ms),
                snapshot=True,
            )
            self._cached, self._cached_tick = encode(FRAME_EVENT, frame, lane=Lane.LIVE), tick
        return self._cached

    def _moves_origin(self, changed: set[int] | dict[int, LiveRecord]) -> bool:
        """Move the origin of a topic without a cell near its riders, if it is not; whether it was moved."""
        if self.cell is not None:
            return False
        if self.origin is not None and all(self._is_near(self.members[rider], self.origin) for rider in changed):
            return False
        first = next(iter(self.members.values()))
        centre = middle(self.members.values(), self.origin or (first.latitude_e5, first.longitude_e5))
        if self.origin is not None and _near(centre, self.origin):
            return False
        self.origin = centre
        self._cached = None
        return True

    @staticmethod
    def _is_near(record: LiveRecord, origin: Origin) -> bool:
        return _near((record.latitude_e5, record.longitude_e5), origin)


def _near(place: Origin, origin: Origin) -> bool:
    north, east = abs(place[0] - origin[0]), abs(place[1] - origin[1])
    return north <= _FURTHEST_E5 and min(east, 360 * DEGREE_E5 - east) <= _FURTHEST_E5


def _centre(cell: int) -> Origin:
    latitude, longitude = cells.centre(cell)
    return round(latitude * DEGREE_E5), round(longitude * DEGREE_E5)
