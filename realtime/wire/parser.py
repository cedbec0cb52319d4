"""Socket.IO 5 packets, taken apart. Pure; every fault is a `Malformed` with what to tell the sender.

<type>[<attachments>-][<namespace>,][<ack id>][JSON]      (socket.io-protocol, revision 5)

The header is read here for JSON and in `msgpack` for msgpack; what follows is the same for both. Everything that
official parsers refuse is refused.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from domain.kit.errors import Invalid, Problem, TooLarge
from realtime.wire.arguments import Arguments, PlainArguments
from realtime.wire.bad_json import bad_json
from realtime.wire.binary import BadPlaceholder, put_back
from realtime.wire.depth import containers, deeper_than
from realtime.wire.header import (
    DEEPEST,
    MOST_ATTACHMENTS,
    MOST_CONTAINERS,
    NESTED_TOO_DEEPLY,
    RESERVED,
    ROOT,
    Format,
    Header,
    Kind,
    Malformed,
    checked,
)
from realtime.wire.msgpack import unpack, unpack_header

__all__ = (
    "MOST_ATTACHMENTS",
    "Header",
    "Kind",
    "Malformed",
    "parse_ack",
    "parse_auth",
    "parse_event",
    "parse_header",
    "unpack_header",
)

_HEADER = re.compile(r"([0-6])(?:(\d{1,10})-)?(?:(/[^,]*)(?:,|\Z))?(\d{0,16})", re.ASCII)
_EVENT, _JSON, _MSGPACK = Kind.EVENT, Format.JSON, Format.MSGPACK
_BINARY = (Kind.BINARY_EVENT, Kind.BINARY_ACK)
_LONGEST_START = 18
"""Characters up to the bracket behind a type and an ack id."""

_array = msgspec.json.Decoder(list[msgspec.Raw]).decode
_value = msgspec.json.Decoder(msgspec.Raw).decode
_name = msgspec.json.Decoder(str).decode
_list = msgspec.json.Decoder(list[Any]).decode

_SPACE = " \t\r\n"

_EVENT_SHAPE = 'an event is a JSON array that begins with its name: ["feature:verb", {…}]'
_ACK_SHAPE = "an ack is a JSON array of answers"
_AUTH_SHAPE = "`auth` is one JSON object"


def parse_header(text: str) -> Header:
    """The header and the rest of a packet in JSON. Raises Malformed."""
    if text[:1] == "2":  # what nearly every packet is: an event of the root namespace, with or without an ack id
        bracket = text.find("[", 1, _LONGEST_START)
        if bracket == 1:
            return Header(_EVENT, 0, ROOT, None, text[1:], _JSON)
        if bracket > 1 and (digits := text[1:bracket]).isdecimal() and digits.isascii():
            return Header(_EVENT, 0, ROOT, int(digits), text[bracket:], _JSON)
    return checked(_header(text))


def _header(text: str) -> Header:
    match = _HEADER.match(text)
    if match is None:
        raise Malformed(Invalid("not a Socket.IO packet: it begins with a digit from 0 to 6"))
    kind, attachments, namespace, ack = match.groups()
    header = Header(
        Kind(int(kind)),
        int(attachments or 0),
        (namespace or ROOT).partition("?")[0],
        int(ack) if ack else None,
        text[match.end() :],
        Format.JSON,
    )
    if header.body[:1].isdigit():
        raise Malformed(Invalid("an ack id has at most 16 digits"))
    if bool(attachments) != (header.kind in _BINARY):
        raise Malformed(Invalid("a binary packet, and no other, announces its attachments"), header.asked)
    if attachments and not header.attachments:
        raise Malformed(Invalid("a binary packet has at least one attachment"), header.asked)
    if header.attachments > MOST_ATTACHMENTS:
        complaint = TooLarge(f"a packet has at most {MOST_ATTACHMENTS} binary attachments")
        raise Malformed(complaint, header.asked, attachments=header.attachments)
    return header


def parse_event(header: Header, most_bytes: int, parts: Sequence[bytes] = ()) -> tuple[str, Arguments]:
    """The name and the arguments of an event; `parts` are the attachments that it announced. Raises Malformed."""
    size = _size(header, parts)
    if size > most_bytes:
        raise Malformed(TooLarge(f"an event has at most {most_bytes} bytes"), header.ack_id)
    name, arguments = _named(header, size, parts)
    if name in RESERVED:
        raise Malformed(Invalid("Socket.IO keeps this name for itself: an event has another"), header.ack_id)
    return name, arguments


def parse_ack(header: Header, most_bytes: int, parts: Sequence[bytes] = ()) -> Arguments:
    """The answers of an ACK; `parts` as of `parse_event`. Raises Malformed."""
    size = _size(header, parts)
    if size > most_bytes:
        raise Malformed(TooLarge(f"an ack has at most {most_bytes} bytes"))
    if _is_plain(header, parts):
        values, binary = _plain_array(header, parts, _ACK_SHAPE)
        return PlainArguments([], size, binary, values)
    return Arguments(_raw_array(header, _ACK_SHAPE), size)


def parse_auth(header: Header, most_bytes: int) -> Arguments:
    """The `auth` of a CONNECT, if there is one. Raises Malformed."""
    size = _size(header)
    if size > most_bytes:
        raise Malformed(TooLarge(f"`auth` has at most {most_bytes} bytes"))
    if not header.body:
        return Arguments([], 0)
    try:
        arguments = _auth(header, size)
    except RecursionError as error:
        raise Malformed(Invalid("`auth` is nested too deeply", field="auth")) from error
    except ValueError as error:
        raise Malformed(Invalid(_AUTH_SHAPE, field="auth")) from error
    return arguments


def _auth(header: Header, size: int) -> Arguments:
    """Raises ValueError or RecursionError."""
    if isinstance(header.body, bytes):
        value, binary = unpack(header.body)
        if not isinstance(value, dict):
            raise ValueError(_AUTH_SHAPE)
        return PlainArguments([], size, binary, [value])
    raw = _value(header.body)
    if not header.body.lstrip(_SPACE).startswith("{"):
        raise ValueError(_AUTH_SHAPE)
    _judge_depth(header)
    return Arguments([raw], size)


def _named(header: Header, size: int, parts: Sequence[bytes]) -> tuple[str, Arguments]:
    if _is_plain(header, parts):
        values, binary = _plain_array(header, parts, _EVENT_SHAPE)
        if not values or not isinstance(values[0], str):
            raise Malformed(Invalid(_EVENT_SHAPE), header.ack_id)
        return values[0], PlainArguments([], size, binary, values[1:])
    raw = _raw_array(header, _EVENT_SHAPE)
    try:
        return _name(raw.pop(0)), Arguments(raw, size)
    except (IndexError, ValueError) as error:
        raise Malformed(_complaint(header, error, _EVENT_SHAPE), header.asked) from error


def _is_plain(header: Header, parts: Sequence[bytes]) -> bool:
    """Whether the values are made at once: those of msgpack, and those with attachments to put in their places."""
    return header.attachments > 0 or bool(parts) or header.format is _MSGPACK


def _raw_array(header: Header, shape: str) -> list[msgspec.Raw]:
    """The values of JSON, not decoded yet. Raises Malformed."""
    try:
        values = _array(header.body)
        _judge_depth(header)
    except (ValueError, RecursionError) as error:
        raise Malformed(_complaint(header, error, shape), header.asked) from error
    return values


def _plain_array(header: Header, parts: Sequence[bytes], shape: str) -> tuple[list[Any], bool]:
    """The values of either format in plain Python, and whether any is binary. Raises Malformed."""
    try:
        if isinstance(header.body, bytes):
            values, binary = unpack(header.body)
        else:
            values, binary = _whole(header, parts), True
    except (ValueError, RecursionError) as error:
        raise Malformed(_complaint(header, error, shape), header.asked) from error
    if not isinstance(values, list):
        raise Malformed(Invalid(shape), header.asked)
    return values, binary


def _whole(header: Header, parts: Sequence[bytes]) -> list[Any]:
    """JSON with its attachments. Raises ValueError or RecursionError."""
    if len(parts) != header.attachments:
        raise BadPlaceholder(f"{header.attachments} attachments were announced, and {len(parts)} came")
    _judge_depth(header)
    return put_back(_list(header.body), parts)


def _judge_depth(header: Header) -> None:
    """Raises RecursionError for JSON that is nested too deeply, Malformed for more arrays and objects than may be."""
    body = header.body
    if not isinstance(body, str):
        return
    if len(body) > MOST_CONTAINERS and containers(body) > MOST_CONTAINERS:
        raise Malformed(TooLarge(f"a packet has at most {MOST_CONTAINERS} arrays and objects"), header.asked)
    if deeper_than(DEEPEST, body):
        raise RecursionError


def _complaint(header: Header, error: Exception, shape: str) -> Problem:
    """What to tell the sender of values that cannot be read."""
    if isinstance(error, RecursionError):
        return Invalid(NESTED_TOO_DEEPLY)
    if isinstance(error, BadPlaceholder):
        return Invalid(str(error))
    if isinstance(header.body, bytes):
        return Invalid(f"not valid msgpack: {error}")
    if type(error) is msgspec.DecodeError:
        return bad_json(error, header.body)
    return Invalid(shape)


def _size(header: Header, parts: Sequence[bytes] = ()) -> int:
    """Bytes of the values and of their attachments."""
    body = header.body
    length = len(body) if isinstance(body, bytes) or body.isascii() else len(body.encode(errors="replace"))
    return length + sum(map(len, parts)) if parts else length
