"""What nodes say to one another about rooms, and the channels on which they say it. Pure.

A room has a channel of its own, heard by the nodes on which it has a member, and so have a namespace and a node. The
id of a socket says on which node it is, so that what is for one socket is heard by its node alone.
"""

from collections.abc import Iterator, Sequence
from functools import lru_cache

import msgspec

from domain.kit.redis_connections import packed
from realtime.wire.emitting import Audience, Fault, Move
from realtime.wire.packets import Carried, Packet, carried_packet
from realtime.wire.rooms import EVERYBODY, node_of

_REMEMBERED = 4096
"""Rooms of which the channel is not worked out again."""


class Emitted(msgspec.Struct, frozen=True, array_like=True, tag="emitted", gc=False):
    """Send this packet to your sockets of that audience; `within_ms` when their answers are wanted."""

    sender: str
    """Who is told the answers: a name that no other process has, or has had."""
    number: int
    """Counts what the sender says: on several channels it is said several times."""
    namespace: str
    to: tuple[str, ...] | None
    but: tuple[str, ...]
    volatile: bool
    packet: Carried
    within_ms: int | None = None

    @property
    def audience(self) -> Audience:
        """Whom it is for."""
        return Audience(self.namespace, self.to, self.but)

    def rebuilt(self) -> Packet:
        """The packet, ready to be sent."""
        return carried_packet(self.packet)


class Said(msgspec.Struct, frozen=True, array_like=True, tag="said", gc=False):
    """What nearly every `Emitted` is: an event for one room of namespace `/`, as the frame in which it is written."""

    sender: str
    room: str
    frame: bytes


def _bin_head(length: int) -> bytes:
    """What stands before so many bytes in msgpack."""
    if length < 1 << 8:
        return b"\xc4%c" % length
    return b"\xc5" + length.to_bytes(2, "big") if length < 1 << 16 else b"\xc6" + length.to_bytes(4, "big")


_SHORT = 1024
_BIN_HEADS = tuple(_bin_head(length) for length in range(_SHORT))
_LENGTHS = tuple(b"%d\r\n" % length for length in range(_SHORT))


class Saying:
    """The command that says such an event to one room: all of it but the frame is written once.

    Of what a node that is rarely woken does for an emit, packing the same around each frame was a tenth. It is taken
    from what the libraries write, so that nothing is said here of either format but how long a frame may be.
    """

    __slots__ = ("_head", "_room", "_said", "_sender", "channel")

    def __init__(self, sender: str, room: str, channel: str) -> None:
        self.channel = channel
        self._sender, self._room = sender, room
        self._head: bytes = packed([("SPUBLISH", channel, b"")]).removesuffix(b"0\r\n\r\n")
        self._said = self.message(b"").removesuffix(b"\xc4\x00")

    def message(self, frame: bytes) -> bytes:
        """What the other nodes hear."""
        return encode(Said(self._sender, self._room, frame))

    def command(self, frame: bytes) -> bytes:
        """It, as Redis reads it."""
        length = len(frame)
        message = self._said + (_BIN_HEADS[length] if length < _SHORT else _bin_head(length)) + frame
        size = len(message)
        return self._head + (_LENGTHS[size] if size < _SHORT else b"%d\r\n" % size) + message + b"\r\n"


class PassedOn(msgspec.Struct, frozen=True, array_like=True, tag="passed_on", gc=False):
    """The question has been sent to these sockets of mine."""

    ack_id: int
    sids: tuple[str, ...]


class Answered(msgspec.Struct, frozen=True, array_like=True, tag="answered", gc=False):
    """These sockets of mine have answered, and those will not."""

    ack_id: int
    given: dict[str, msgspec.Raw]
    """The list of an answer's arguments."""
    left: tuple[str, ...]


class Asked(msgspec.Struct, frozen=True, array_like=True, tag="asked", gc=False):
    """Do this with a client of yours, or (without `sid`) with all of yours, and say so."""

    sender: str
    number: int
    """By which the sender knows the answer."""
    move: Move


class Done(msgspec.Struct, frozen=True, array_like=True, tag="done", gc=False):
    """It has been done, or could not be, for this reason."""

    number: int
    fault: Fault | None = None


Message = Said | Emitted | PassedOn | Answered | Asked | Done

encode = msgspec.msgpack.Encoder().encode
decode = msgspec.msgpack.Decoder(Message).decode
decode_values = msgspec.msgpack.Decoder(list[object]).decode


def sender_channel(sender: str) -> str:
    """What is for one process: the answers to its questions, and what it says to itself."""
    return f"rooms:to:{sender}"


def node_channel(node: str) -> str:
    """What is for single sockets of a node."""
    return f"rooms:node:{node}"


def room_channel(namespace: str, room: str | None) -> str:
    """What is for a room, or for everybody in the namespace. A namespace has no comma in its name."""
    return f"rooms:all:{namespace}" if room is EVERYBODY else f"rooms:in:{namespace},{room}"


def channels(audience: Audience, own_node: str) -> Sequence[str]:
    """Where something for this audience is said, each once."""
    if audience.to is EVERYBODY:
        return (room_channel(audience.namespace, EVERYBODY),)
    if len(audience.to) == 1:
        return _channels_of_one(audience.namespace, audience.to[0], own_node)
    return tuple(dict.fromkeys(_channels(audience.namespace, audience.to, own_node)))


@lru_cache(maxsize=_REMEMBERED)
def _channels_of_one(namespace: str, name: str, own_node: str) -> Sequence[str]:
    return tuple(_channels(namespace, (name,), own_node))


def _channels(namespace: str, names: Sequence[str], own_node: str) -> Iterator[str]:
    for name in names:
        node = node_of(name)
        if node is None:
            yield room_channel(namespace, name)
        elif node != own_node:
            yield node_channel(node)
