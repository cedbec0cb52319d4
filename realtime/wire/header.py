"""What every Socket.IO packet says of itself, in whichever format it came, and the fault of one that cannot be read.

Pure types and the bounds on what a peer may announce; `parser` and `msgpack` read them from what arrives.
"""

from enum import IntEnum

import msgspec

from domain.kit.errors import Invalid, Problem

MOST_ATTACHMENTS = 16
"""Binary attachments one packet may announce."""
LONGEST_NAMESPACE = 100
"""Characters."""
MOST_ACK_ID = 10**16 - 1
"""More than JavaScript counts to exactly; official clients count from 0."""
MOST_CONTAINERS = 50_000
"""Arrays and objects in one packet."""
DEEPEST = 64
"""Arrays and objects within one another, the list of an event's arguments included."""

ROOT = "/"
NESTED_TOO_DEEPLY = "nested too deeply"
RESERVED = frozenset(("connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener"))
"""Names with a meaning of their own in official servers and clients, whose parsers refuse them as events."""


class Format(IntEnum):
    """How a peer writes its packets: socket.io-parser, or socket.io-msgpack-parser."""

    JSON = 0
    MSGPACK = 1


class Kind(IntEnum):
    """Packet types. The binary ones are known to JSON alone."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


EVENTS = (Kind.EVENT, Kind.BINARY_EVENT)


class Malformed(Exception):
    """A packet that cannot be read; `ack_id` is set when the sender waits for an answer to it.

    `attachments` still follow it, and belong to no packet that is read.
    """

    def __init__(self, problem: Problem, ack_id: int | None = None, attachments: int = 0) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.ack_id = ack_id
        self.attachments = attachments


class Header(msgspec.Struct, frozen=True, gc=False):
    """What stands before the values of a packet, and those values as they arrived."""

    kind: Kind
    attachments: int
    namespace: str
    ack_id: int | None
    body: str | bytes
    """JSON as text, or msgpack as bytes; empty when the packet carries nothing."""
    format: Format

    @property
    def asked(self) -> int | None:
        """The ack id when the sender waits for an answer: that of an event."""
        return self.ack_id if self.kind in EVENTS else None


def checked(header: Header) -> Header:
    """The header, when its namespace and what it carries can be. Raises Malformed."""
    if len(header.namespace) > LONGEST_NAMESPACE:
        raise Malformed(Invalid(f"a namespace has at most {LONGEST_NAMESPACE} characters"), header.asked)
    if header.kind is Kind.DISCONNECT and header.body:
        raise Malformed(Invalid("DISCONNECT carries nothing"))
    return header
