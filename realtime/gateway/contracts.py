"""Event contracts: name, payload, promise and limits are declared once, and handlers are tied to them by `@handles`.

A payload is a frozen msgspec struct that refuses unknown fields (subclass `Payload`); a reply is a `Reply`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from types import CoroutineType
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeAlias, TypeVar

import msgspec

from realtime.wire import packets
from realtime.wire.packets import Packet, PayloadDecoder, encode_event

if TYPE_CHECKING:
    import asyncio

    from realtime.gateway.client import Client


class Payload(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a client sends: fields it does not declare are refused."""


class Reply(msgspec.Struct, frozen=True, omit_defaults=True):
    """What goes to a client, as an ack or as an event: optional fields that are not set are left out."""


P = TypeVar("P")
S = TypeVar("S")


class Promise(StrEnum):
    """What an ack, or the arrival of an event, means (the three promises; `NONE` for what promises nothing)."""

    LIVE = "live"
    DURABLE = "durable"
    RECORDED = "recorded"
    NONE = "none"


_URGENT = "sos:"
"""Begins the names of events that wait for nothing else, in either direction."""


class Limit(NamedTuple):
    """A token bucket per socket: `per_second` on average, `burst` at once."""

    per_second: float
    burst: int


class Lane(StrEnum):
    """Events of one lane of a socket are handled in order; lanes do not wait for one another."""

    COMMON = "common"
    SOS = "sos"


@dataclass(frozen=True)
class Contract(Generic[P]):
    """An event that clients send: one object of `payload`, acknowledged with a `reply`."""

    name: str
    payload: type[P]
    promise: Promise
    limit: Limit
    reply: type[Reply] | None = None
    """The ack's type, for the reference; None when the ack is an empty object."""
    decoder: PayloadDecoder[P] = field(init=False, repr=False, compare=False)
    lane: Lane = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "decoder", PayloadDecoder(self.payload))
        object.__setattr__(self, "lane", Lane.SOS if self.name.startswith(_URGENT) else Lane.COMMON)


@dataclass(frozen=True)
class Emission(Generic[P]):
    """An event that the server sends, with one object of `payload`."""

    name: str
    payload: type[P]
    promise: Promise
    lane: packets.Lane = field(init=False)
    """Before what it goes when a socket's transport is full, and whether newer news replaces it there."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "lane", _lane_out(self.name, self.promise))

    def packet(self, payload: P) -> Packet:
        """The packet, encoded once, for any number of clients."""
        return encode_event(self.name, payload, lane=self.lane)


@dataclass(frozen=True)
class StreamEmission(Emission[P]):
    """A durable event as its stream brings it: `stream`, `seq` and `sent_at` stand before the payload's own fields."""

    stream: str = ""
    """Of which kind of stream it is: `user`, `chat`, …"""


def _lane_out(name: str, promise: Promise) -> packets.Lane:
    if name.startswith(_URGENT):
        return packets.Lane.SOS
    return packets.Lane.LIVE if promise is Promise.LIVE else packets.Lane.DURABLE


class Followed(NamedTuple):
    """An ack, and what is called right behind it, before anything else is sent to the client."""

    reply: Reply
    then: Callable[[], None]


Answer: TypeAlias = "Reply | Followed | asyncio.Future[Any] | None"
"""What a handler gives at once: the ack, an empty ack, or a future of either (the lane does not wait for it)."""
Result: TypeAlias = "Answer | CoroutineType[Any, Any, Answer]"
"""What calling a handler gives; a coroutine keeps its lane busy until it has returned."""
R = TypeVar("R")

CONTRACT_ATTRIBUTE = "__contract__"


def handles(
    contract: Contract[P],
) -> "Callable[[Callable[[S, Client, P], R]], Callable[[S, Client, P], R]]":
    """Tie a method `(self, client, payload)` to the event it handles; `Registry` collects it.

    The method is plain or `async`. It returns the ack (a `Reply`), None for an empty ack, or an `asyncio.Future` of
    either: such an ack goes out when the future is done, and does not hold up the events that follow. It raises a
    `Problem` (or sets it on the future) to refuse.
    """

    def mark(method: "Callable[[S, Client, P], R]") -> "Callable[[S, Client, P], R]":
        setattr(method, CONTRACT_ATTRIBUTE, contract)
        return method

    return mark
