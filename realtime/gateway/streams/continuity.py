"""Whether what a client has of a stream and what it will be sent fit together, and which events lie between: decisions.

A client has everything up to its position; on this connection it has been sent what followed its hearing's start, up to
where it is held. Between the two lies what it missed. Nothing here waits.
"""

from collections.abc import Sequence
from enum import Enum
from typing import Final, NamedTuple

from domain.streams.rules import Event, Slice
from realtime.gateway.events.session import Position
from realtime.gateway.streams.cursor import UNPLACED, Cursor
from realtime.gateway.streams.history import MOST_EVENTS


class Verdict(Enum):
    """What came of looking."""

    READ = "read"
    """Memory cannot tell: read what follows the position."""
    LOST = "lost"
    """Continuity cannot be proved."""
    RECOVERED = "recovered"


class Continuity(NamedTuple):
    """A verdict; if recovered, what was missed, and up to where the client then has everything."""

    verdict: Verdict
    events: Sequence[Event] = ()
    upto: int = UNPLACED


_READ: Final = Continuity(Verdict.READ)
_LOST: Final = Continuity(Verdict.LOST)


def continuity(cursor: Cursor, start: int, at: int, position: Position, part: Slice | None) -> Continuity:
    """How to get a client on from its position.

    It was sent what lies after `start` up to `at`. `part` is what was read after its position, if anything was, and the
    cursor goes by that by now.
    """
    if not cursor.placed or (position.epoch != cursor.epoch and part is None):
        return _READ
    if position.epoch != cursor.epoch:
        return _LOST
    if position.seq >= start:
        return _from_ahead(at, position, part)
    if start - position.seq > MOST_EVENTS:
        return _LOST
    missed = cursor.since(position.seq, start) if part is None else _between(part, position.seq, start)
    if missed is None:
        return _READ if part is None else _LOST
    return Continuity(Verdict.RECOVERED, missed, at)


def _from_ahead(at: int, position: Position, part: Slice | None) -> Continuity:
    """Nothing was missed; a number that this node has not seen yet must exist all the same."""
    if position.seq <= at:
        return Continuity(Verdict.RECOVERED, (), at)
    if part is None:
        return _READ
    return Continuity(Verdict.RECOVERED, (), position.seq) if position.seq <= part.head.seq else _LOST


def _between(part: Slice, seq: int, upto: int) -> list[Event] | None:
    """The events after `seq` up to `upto`, if the slice has them all."""
    events = [event for event in part.events if seq < event.seq <= upto]
    return events if len(events) == upto - seq else None
