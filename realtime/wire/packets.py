"""Socket.IO packets as they leave: encoded once in each format in use, for any number of sockets.

The layers above say what they want sent (`encode_event`, …); text, frames and formats stay here. JSON is written at
once, so what a handler does to its values afterwards changes nothing. Msgpack is made from that JSON when the first
socket asks for it: so both formats say exactly the same, whatever dates, UUIDs, enums, raw JSON and NaN were in it.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from enum import IntEnum
from typing import NamedTuple, TypeAlias

import msgspec

from realtime.wire.arguments import Arguments, P, PayloadDecoder
from realtime.wire.binary import take_out
from realtime.wire.header import ROOT, Format, Kind
from realtime.wire.msgpack import pack

__all__ = (
    "EMPTY_ACKS",
    "EMPTY_ANSWER",
    "Arguments",
    "Carried",
    "Format",
    "Lane",
    "P",
    "Packet",
    "PayloadDecoder",
    "ack_frame",
    "carried_packet",
    "encode_ack",
    "encode_connect",
    "encode_connect_error",
    "encode_disconnect",
    "encode_event",
    "encode_json",
    "encode_plain",
    "engine_packet",
)

_encode = msgspec.json.Encoder().encode
_JSON = Format.JSON

_SEPARATOR = "\x1e"
_TEXT, _BINARY = 0x81, 0x82
"""First bytes of WebSocket frames that are whole messages."""
_TO_BINARY = Kind.BINARY_EVENT - Kind.EVENT
_SHORT = {first: tuple(bytes((first, length)) for length in range(126)) for first in (_TEXT, _BINARY)}
_SHORT_TEXT = _SHORT[_TEXT]
EMPTY_ANSWER = b"[{}]"
EMPTY_ACKS = tuple(_SHORT_TEXT[len(b"43") + digits + len(EMPTY_ANSWER)] + b"43" for digits in range(17))
"""What stands before the digits of an ack id, by their number, and behind them: the ack of nearly every event."""


class Lane(IntEnum):
    """Which packets go first when a socket's transport is full, and which may be dropped or replaced."""

    SOS = 0
    DURABLE = 1
    LIVE = 2


_DURABLE = Lane.DURABLE
_LANES = {lane.value: lane for lane in Lane}

_Head: TypeAlias = tuple[Kind, str, int | None]
"""What stands before the values of a Socket.IO packet: its kind, its namespace and its ack id."""


class Carried(NamedTuple):
    """A packet on its way to another node: JSON, of which that node makes msgpack when somebody there wants it."""

    text: bytes
    attachments: tuple[bytes, ...]
    kind: int
    namespace: str
    ack_id: int | None
    lane: int


_EVENT, _ACK = Kind.EVENT, Kind.ACK
_PLAIN_EVENT: _Head = (_EVENT, ROOT, None)
_BEGINNINGS = tuple(f"4{kind.value}" for kind in Kind)
"""The Engine.IO type of messages and the packet's."""


class Packet(msgspec.Struct, eq=False, gc=False):
    """One packet, as the WebSocket frames in which it is written; immutable. Made by the functions below.

    From its frame alone, it is a `plain` one. A struct, because one is made for each emit.
    """

    json: bytes
    """Its frames in JSON; `frames` for those who do not know which format it is."""
    lane: Lane = _DURABLE
    plain: bool = True
    """Whether its frame is all there is to say of it: an event of namespace `/` that is like nearly all."""
    _head: _Head | None = _PLAIN_EVENT
    """None: it is the same in any format."""
    _attachments: Sequence[bytes] = ()
    _msgpack: bytes | None = None

    def __repr__(self) -> str:
        return f"<Packet of {len(self.json)} bytes>"  # what it says is nobody's business

    def frames(self, form: Format) -> bytes:
        """All its WebSocket frames, joined; encoded when first asked for."""
        if form is _JSON:
            return self.json
        if self._msgpack is None:
            self._msgpack = self.json if self._head is None else _frame(_BINARY, self._packed(self._head))
        return self._msgpack

    def payload(self, form: Format) -> str:
        """As it stands in a long-polling payload: Engine.IO packets, the binary ones in base64 after a `b`."""
        if form is _JSON or self._head is None:
            return _SEPARATOR.join((self.text, *map(_as_text, self._attachments)))
        return _as_text(_unframed(self.frames(form)))

    def size(self, form: Format) -> int:
        """Bytes on the wire."""
        return len(self.frames(form))

    @property
    def text(self) -> str:
        """The Engine.IO packet as JSON, without its frame and its attachments."""
        return _unframed(self.json).decode()

    def carried(self) -> "Carried":
        """Itself as it travels to another node."""
        kind, namespace, ack_id = self._head or _PLAIN_EVENT
        return Carried(_unframed(self.json), tuple(self._attachments), int(kind), namespace, ack_id, int(self.lane))

    def _packed(self, head: _Head) -> bytes:
        """Itself as msgpack, made from the JSON."""
        kind, namespace, ack_id = head
        body = _unframed(self.json)[len(_prefix(head, len(self._attachments))) :]
        return pack(kind, namespace, ack_id, body, self._attachments)


def carried_packet(carried: Carried) -> Packet:
    """A packet that came from another node, as it was there. Raises ValueError for what no node sends."""
    text, attachments, kind, namespace, ack_id, lane = carried
    if lane not in _LANES:
        raise ValueError(f"there is no lane {lane}")
    if kind == _EVENT and namespace == ROOT and ack_id is None:
        return _made(text, _PLAIN_EVENT, _LANES[lane], attachments)
    return _made(text, (Kind(kind), namespace, ack_id), _LANES[lane], attachments)


def engine_packet(text: str, lane: Lane = _DURABLE) -> Packet:
    """A packet of Engine.IO alone: `2`, `6`, `3probe`, `0{…}`."""
    return _made(text.encode(), None, lane)


def _made(data: bytes, head: _Head | None, lane: Lane = _DURABLE, attachments: Sequence[bytes] = ()) -> Packet:
    """Of an Engine.IO packet, for example `42["name",{…}]`."""
    frames = _frame(_TEXT, data)
    if attachments:
        frames += b"".join(_frame(_BINARY, part) for part in attachments)
    return Packet(frames, lane, head is _PLAIN_EVENT and lane is _DURABLE and not attachments, head, attachments)


def encode_json(value: object) -> str:
    """Compact JSON of anything msgspec knows."""
    return _encode(value).decode()


def encode_event(
    name: str,
    *arguments: object,
    namespace: str = ROOT,
    ack_id: int | None = None,
    lane: Lane = Lane.DURABLE,
    binary: bool = False,
) -> Packet:
    """An EVENT with any number of arguments: structs, dicts or anything else that msgspec writes as JSON.

    With `binary`, `bytes` anywhere in the arguments go as binary; without it nothing is searched, and they go as text
    in base64. Raises TypeError, ValueError or RecursionError for what cannot be written, BadPlaceholder (a ValueError)
    for what would be mistaken for an attachment.
    """
    if not binary and ack_id is None and namespace == ROOT:
        return _made(b"42" + _encode((name, *arguments)), _PLAIN_EVENT, lane)
    return _packet((_EVENT, namespace, ack_id), (name, *arguments), lane, binary=binary)


def encode_plain(name: str, argument: object) -> Packet:
    """What `encode_event` makes of a name and one argument, for what is emitted often. Raises as it does."""
    data = b"42" + _encode((name, argument))
    length = len(data)
    return Packet(_SHORT_TEXT[length] + data if length < 126 else _frame(_TEXT, data))


def encode_ack(
    ack_id: int, *answers: object, namespace: str = ROOT, lane: Lane = Lane.DURABLE, binary: bool = False
) -> Packet:
    """The ACK of the peer's packet `ack_id`; `binary` and what it raises as of `encode_event`."""
    if not binary and namespace == ROOT:
        return _made(b"43%d" % ack_id + _encode(answers), (_ACK, ROOT, ack_id), lane)
    return _packet((_ACK, namespace, ack_id), answers, lane, binary=binary)


def ack_frame(ack_id: int, answers: Sequence[object]) -> bytes:
    """What `encode_ack` of namespace `/` writes in JSON."""
    data = b"43%d" % ack_id + _encode(answers)
    length = len(data)
    return _SHORT_TEXT[length] + data if length < 126 else _frame(_TEXT, data)


def encode_connect(sid: str, namespace: str = ROOT) -> Packet:
    """The CONNECT that lets a client in."""
    return _packet((Kind.CONNECT, namespace, None), {"sid": sid})


def encode_connect_error(body: Mapping[str, object], namespace: str = ROOT) -> Packet:
    """The CONNECT_ERROR that does not: `message`, and `data` with details."""
    return _packet((Kind.CONNECT_ERROR, namespace, None), body)


def encode_disconnect(namespace: str = ROOT) -> Packet:
    """The DISCONNECT from a namespace."""
    head: _Head = (Kind.DISCONNECT, namespace, None)
    return _made(_prefix(head, 0), head)


def _packet(head: _Head, data: object, lane: Lane = Lane.DURABLE, *, binary: bool = False) -> Packet:
    attachments: list[bytes] = []
    if binary and isinstance(data, tuple):
        data, attachments = take_out(data)
    return _made(_prefix(head, len(attachments)) + _encode(data), head, lane, attachments)


def _prefix(head: _Head, attachments: int) -> bytes:
    """What stands before the JSON."""
    kind, namespace, ack_id = head
    beginning = f"{_BEGINNINGS[kind + _TO_BINARY]}{attachments}-" if attachments else _BEGINNINGS[kind]
    place = "" if namespace == ROOT else namespace + ","
    return f"{beginning}{place}{'' if ack_id is None else ack_id}".encode()


def _frame(first: int, data: bytes) -> bytes:
    """One final, unmasked WebSocket frame (RFC 6455, section 5.2)."""
    length = len(data)
    if length < 126:
        return _SHORT[first][length] + data
    if length < 1 << 16:
        return b"%c\x7e" % first + length.to_bytes(2, "big") + data
    return b"%c\x7f" % first + length.to_bytes(8, "big") + data


def _unframed(frames: bytes) -> bytes:
    """What is in the first of some frames of ours."""
    length = frames[1]
    if length < 126:
        return frames[2 : 2 + length]
    begin = 4 if length == 126 else 10
    return frames[begin : begin + int.from_bytes(frames[2:begin], "big")]


def _as_text(data: bytes) -> str:
    return "b" + b64encode(data).decode()
