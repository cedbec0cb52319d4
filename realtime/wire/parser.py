"""Socket.IO 5 packets in their text form, taken apart. Pure; every fault is a `Malformed` with what to tell the sender.

<type>[<attachments>-][<namespace>,][<ack id>][JSON]      (socket.io-protocol, revision 5)
"""

import re
from dataclasses import dataclass
from enum import IntEnum

import msgspec

from domain.kit.errors import Invalid, Problem, TooLarge
from realtime.wire.bad_json import bad_json
from realtime.wire.packets import Arguments

MOST_ATTACHMENTS = 16
"""Binary attachments one packet may announce; they are counted and let go, never collected."""

_HEADER = re.compile(r"([0-6])(?:(\d{1,10})-)?(?:(/[^,]*)(?:,|\Z))?(\d{0,16})", re.ASCII)
_arguments = msgspec.json.Decoder(list[msgspec.Raw])
_value = msgspec.json.Decoder(msgspec.Raw)
_name = msgspec.json.Decoder(str)


class Kind(IntEnum):
    """Packet types."""

    CONNECT = 0
    DISCONNECT = 1
    EVENT = 2
    ACK = 3
    CONNECT_ERROR = 4
    BINARY_EVENT = 5
    BINARY_ACK = 6


_BINARY = (Kind.BINARY_EVENT, Kind.BINARY_ACK)


class Malformed(Exception):
    """A packet that cannot be read; `ack_id` is set when the sender waits for an answer to it."""

    def __init__(self, problem: Problem, ack_id: int | None = None) -> None:
        super().__init__(problem.message)
        self.problem = problem
        self.ack_id = ack_id


@dataclass(frozen=True, slots=True)
class Header:
    """What stands before the JSON."""

    kind: Kind
    attachments: int
    namespace: str
    ack_id: int | None
    body: str


def parse_header(text: str) -> Header:
    """The packet's header and the rest. Raises Malformed."""
    match = _HEADER.match(text)
    if match is None:
        raise Malformed(Invalid("not a Socket.IO packet: it begins with a digit from 0 to 6"))
    kind, attachments, namespace, ack = match.groups()
    header = Header(
        Kind(int(kind)),
        int(attachments or 0),
        (namespace or "/").partition("?")[0],
        int(ack) if ack else None,
        text[match.end() :],
    )
    if header.body[:1].isdigit():
        raise Malformed(Invalid("an ack id has at most 16 digits"))
    if bool(attachments) != (header.kind in _BINARY):
        raise Malformed(Invalid("a binary packet, and no other, announces its attachments"), _asked(header))
    if header.attachments > MOST_ATTACHMENTS:
        raise Malformed(TooLarge(f"a packet has at most {MOST_ATTACHMENTS} binary attachments"), _asked(header))
    return header


def parse_event(header: Header, most_characters: int) -> tuple[str, Arguments]:
    """The name and the arguments of an EVENT or BINARY_EVENT. Raises Malformed."""
    size = len(header.body)
    if size > most_characters:
        raise Malformed(TooLarge(f"an event has at most {most_characters} bytes"), header.ack_id)
    try:
        first, *rest = _arguments.decode(header.body)
        name = _name.decode(first)
    except RecursionError as error:
        raise Malformed(Invalid("nested too deeply"), header.ack_id) from error
    except (msgspec.MsgspecError, ValueError) as error:
        if type(error) is msgspec.DecodeError:
            raise Malformed(bad_json(error, header.body), header.ack_id) from error
        complaint = Invalid('an event is a JSON array that begins with its name: ["feature:verb", {…}]')
        raise Malformed(complaint, header.ack_id) from error
    return name, Arguments(rest, size, binary=header.kind is Kind.BINARY_EVENT)


def parse_auth(header: Header, most_characters: int) -> Arguments:
    """The `auth` of a CONNECT, if there is one. Raises Malformed."""
    size = len(header.body)
    if size > most_characters:
        raise Malformed(TooLarge(f"`auth` has at most {most_characters} bytes"))
    if not header.body:
        return Arguments([], 0)
    try:
        return Arguments([_value.decode(header.body)], size)
    except RecursionError as error:
        raise Malformed(Invalid("`auth` is nested too deeply", field="auth")) from error
    except (msgspec.MsgspecError, ValueError) as error:
        raise Malformed(Invalid("`auth` is one JSON object", field="auth")) from error


def _asked(header: Header) -> int | None:
    return header.ack_id if header.kind in (Kind.EVENT, Kind.BINARY_EVENT) else None
