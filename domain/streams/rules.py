"""What a stream is: numbers without holes, an epoch in which they mean something, events as every client gets them.

A number means something together with its epoch only. Decisions and shapes; no I/O.
"""

import secrets
from collections.abc import Iterable
from typing import NamedTuple
from uuid import UUID

import msgspec

LONGEST_NAME = 100
"""Characters of a stream's name, its kind included."""
USER_STREAM = "user"
"""The kind of stream that carries what is for one rider."""
_EPOCH_BYTES = 9
_encode = msgspec.json.Encoder().encode


class Head(NamedTuple):
    """Where a stream stands: the number of its newest event, 0 when it never had one."""

    epoch: str
    seq: int


class Event(NamedTuple):
    """One event of a stream, as every client gets it."""

    seq: int
    name: str
    payload: bytes
    """A JSON object: `stream`, `seq`, `sent_at` (milliseconds since the epoch, UTC) and the event's own fields."""


class Appended(NamedTuple):
    """What one transaction added to a stream, committed; the events have successive numbers."""

    stream: str
    epoch: str
    events: tuple[Event, ...]


class Slice(NamedTuple):
    """A part of a stream's history: what follows a number, up to the limits that were asked for.

    The events are successive. They begin behind the number that was asked for, unless history was pruned beyond it:
    then behind `pruned_to`.
    """

    head: Head
    pruned_to: int
    events: tuple[Event, ...]


def user_stream(user_id: UUID) -> str:
    """The stream of what is for one rider, on all devices."""
    return f"{USER_STREAM}:{user_id}"


def new_epoch() -> str:
    """An epoch that no database has had."""
    return secrets.token_urlsafe(_EPOCH_BYTES)


def payload_of(stream: str, seq: int, sent_at_ms: int, body: bytes) -> bytes:
    """The event's object, made of where it stands and its own fields (`body`, a JSON object)."""
    head = b'{"stream":%b,"seq":%d,"sent_at":%d' % (_encode(stream), seq, sent_at_ms)
    return head + (b"}" if body == b"{}" else b"," + body[1:])


def size_of(events: Iterable[Event]) -> int:
    """Bytes of the events' objects."""
    return sum(len(event.payload) for event in events)
