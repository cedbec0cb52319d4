"""Socket.IO packets as socket.io-msgpack-parser 3 writes and reads them: one binary message with a map. Pure.

    {"type": 2, "data": ["name", …], "nsp": "/", "id": 7}      (`data` and `id` only where there is one)

Its JavaScript library (notepack.io 2) has extensions for what JSON has not. Here every value becomes what
`JSON.stringify` makes of it, so that no reader has to know the format; only binary values stay what they are.
"""

import json
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from domain.kit.errors import Invalid
from realtime.wire.binary import put_back
from realtime.wire.header import (
    DEEPEST,
    MOST_ACK_ID,
    MOST_CONTAINERS,
    NESTED_TOO_DEEPLY,
    Format,
    Header,
    Kind,
    Malformed,
    checked,
)

_KINDS = {kind.value: kind for kind in (Kind.CONNECT, Kind.DISCONNECT, Kind.EVENT, Kind.ACK, Kind.CONNECT_ERROR)}
_MOST_COMPOUNDS = MOST_CONTAINERS
"""Values with values of their own, and the few others that are looked at one by one: what half a megabyte may cost."""
_UNDEFINED = b"\xd4\x00\x00"
_NOTEPACK = 0
"""The one extension type of notepack: `undefined` in 1 byte, a Date in 8, an ArrayBuffer in any number."""
_MOST_INTEGER, _LEAST_INTEGER = 2**64 - 1, -(2**63)

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder().decode
_decode_integer = msgspec.msgpack.Decoder(int).decode
_decode_json = msgspec.json.Decoder().decode


class _Packet(msgspec.Struct):
    """The map; other keys (clients add `options`) mean nothing, as to the official decoder.

    `Raw` is passed over and not made: lengths that lie cost nothing, and sizes are judged before anything is decoded.
    """

    type: int
    nsp: str
    data: msgspec.Raw = msgspec.Raw(_UNDEFINED)
    id: msgspec.Raw = msgspec.Raw(_UNDEFINED)


_unpack = msgspec.msgpack.Decoder(_Packet).decode


def pack(kind: Kind, namespace: str, ack_id: int | None, text: bytes, attachments: Sequence[bytes] = ()) -> bytes:
    """The packet whose data are this JSON, with its attachments in their places; without any data for no JSON."""
    packet: dict[str, object] = {"type": kind.value, "nsp": namespace}
    if ack_id is not None:
        packet["id"] = ack_id
    if not text:
        return _encode(packet)
    packet["data"] = _with(attachments, _decode_json(text))
    try:
        return _encode(packet)
    except OverflowError:  # an integer of more than 64 bits, which becomes a float as in JavaScript
        packet["data"] = _with(attachments, json.loads(text, parse_int=_integer))
        return _encode(packet)


def _with(attachments: Sequence[bytes], data: Any) -> Any:
    return put_back(data, attachments) if attachments else data


def unpack_header(data: bytes) -> Header:
    """The packet's header and its values, not decoded yet. Raises Malformed."""
    try:
        packet = _unpack(data)
    except RecursionError as error:
        raise Malformed(Invalid(NESTED_TOO_DEEPLY)) from error
    except ValueError as error:  # msgspec's errors and bad UTF-8
        raise Malformed(Invalid("not a Socket.IO packet in msgpack: a map with `type`, `nsp` and `data`")) from error
    kind = _KINDS.get(packet.type)
    if kind is None:
        raise Malformed(Invalid("a packet's `type` is a number from 0 to 4"))
    if not packet.nsp.startswith("/"):
        raise Malformed(Invalid("a packet's `nsp` begins with a slash"))
    namespace, body = packet.nsp.partition("?")[0], bytes(packet.data)
    return checked(Header(kind, 0, namespace, _ack_id(packet.id), b"" if body == _UNDEFINED else body, Format.MSGPACK))


def unpack(body: bytes) -> tuple[Any, bool]:
    """The data of a packet as JSON would have it, and whether anything in it is binary.

    Raises ValueError, or RecursionError when it is nested too deeply.
    """
    reading = _Reading(body)
    return reading.plain(_decode(body), DEEPEST), reading.binary


def _ack_id(raw: msgspec.Raw) -> int | None:
    if bytes(raw) == _UNDEFINED:
        return None
    complaint = Invalid(f"a packet's `id` is an integer from 0 to {MOST_ACK_ID}")
    try:
        number = _decode_integer(raw)
    except ValueError as error:
        raise Malformed(complaint) from error
    if not 0 <= number <= MOST_ACK_ID:
        raise Malformed(complaint)
    return number


def _integer(digits: str) -> int | float:
    number = int(digits)
    return number if _LEAST_INTEGER <= number <= _MOST_INTEGER else float(digits)


class _Absent:
    """JavaScript's `undefined`."""


class _Reading:
    """Makes one packet's values what JSON would have made them."""

    def __init__(self, body: bytes) -> None:
        self.binary = False
        self._body = body
        self._ways: dict[bytes, bool] = {}
        self._left = _MOST_COMPOUNDS

    def plain(self, value: Any, deep: int) -> Any:
        """One value; lists and dicts are changed in place."""
        kind = type(value)
        if kind in _SAME:
            return value
        if kind is float:
            return value if math.isfinite(value) else None
        self._left -= 1
        if not self._left:
            raise ValueError(f"more than {_MOST_COMPOUNDS} arrays, maps and binary values")
        if kind is dict or kind is list:
            if not deep:
                raise RecursionError
            return self._object(value, deep - 1) if kind is dict else self._array(value, deep - 1)
        return self._other(value)

    def _array(self, values: list[Any], deep: int) -> list[Any]:
        for place, value in enumerate(values):
            if type(value) not in _SAME:
                inner = self.plain(value, deep)
                values[place] = None if inner is _Absent else inner
        return values

    def _object(self, values: dict[Any, Any], deep: int) -> dict[str, Any]:
        absent = []
        for name, value in values.items():
            if type(name) is not str:
                raise ValueError("names in a map are strings")
            if type(value) not in _SAME:
                inner = values[name] = self.plain(value, deep)
                if inner is _Absent:
                    absent.append(name)
        for name in absent:
            del values[name]
        return values

    def _other(self, value: Any) -> Any:
        if isinstance(value, bytes):
            self.binary = True
            return value
        if isinstance(value, msgspec.msgpack.Ext):
            return self._extension(value)
        return msgspec.to_builtins(value)  # the timestamps of msgpack itself

    def _extension(self, value: msgspec.msgpack.Ext) -> Any:
        """What notepack means; an ArrayBuffer as long as another extension is told by how that one is written."""
        data = bytes(value.data)
        if value.code != _NOTEPACK:
            raise ValueError("an unknown extension")
        if data == b"\0" and self._written(b"\xd4\0", b"\xc7\x01\0"):
            return _Absent
        if len(data) == _DATE_BYTES and self._written(b"\xd7\0", b"\xc7\x08\0"):
            return _date(int.from_bytes(data, "big", signed=True))
        self.binary = True
        return data

    def _written(self, fixed: bytes, counted: bytes) -> bool:
        """Whether the packet writes an extension in this way; one that might be either is refused."""
        if fixed not in self._ways:
            if fixed in self._body and counted in self._body:
                raise ValueError("an ArrayBuffer beside a value that cannot be told from it")
            self._ways[fixed] = fixed in self._body
        return self._ways[fixed]


_DATE_BYTES = 8
_SAME = frozenset((str, int, bool, type(None)))


def _date(milliseconds: int) -> str | None:
    """As `Date.toJSON` writes it; None for a date without a year of four digits."""
    seconds, rest = divmod(milliseconds, 1000)
    try:
        moment = datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest * 1000)
    except (ValueError, OverflowError, OSError):
        return None
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
