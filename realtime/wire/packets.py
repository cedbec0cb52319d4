"""Socket.IO packets as they leave and arrive: encoded once for any number of sockets, decoded straight into types.

The layers above say what they want sent (`encode_event`) and what they expect (`PayloadDecoder`); text, frames and
formats stay here.
"""

from typing import Generic, TypeVar

import msgspec

P = TypeVar("P")

_encode = msgspec.json.Encoder().encode


class Packet:
    """One Engine.IO text packet, as the WebSocket frame in which it is written: one object for any number of sockets.

    `text` is the Engine.IO type and the data, for example `42["name",{…}]`.
    """

    __slots__ = ("frame",)

    def __init__(self, text: str) -> None:
        self.frame = text_frame(text.encode())

    @property
    def size(self) -> int:
        """Bytes on the wire."""
        return len(self.frame)

    @property
    def text(self) -> str:
        """The packet without its frame."""
        length = self.frame[1]
        return self.frame[_HEADER_BYTES.get(length, 2) :].decode()


_HEADER_BYTES = {126: 4, 127: 10}


def text_frame(data: bytes) -> bytes:
    """One final, unmasked text frame (RFC 6455, section 5.2)."""
    length = len(data)
    if length < 126:
        return bytes((0x81, length)) + data
    if length < 1 << 16:
        return b"\x81\x7e" + length.to_bytes(2, "big") + data
    return b"\x81\x7f" + length.to_bytes(8, "big") + data


def encode_json(value: object) -> str:
    """Compact JSON of anything msgspec knows."""
    return _encode(value).decode()


def encode_event(name: str, payload: object) -> Packet:
    """An EVENT of namespace `/` with one argument: a struct, a dict or anything else that msgspec writes as JSON."""
    return Packet("42" + _encode((name, payload)).decode())


def encode_ack(ack_id: int, answer: object) -> Packet:
    """The ACK with one argument for the client's packet `ack_id`."""
    return Packet(f"43{ack_id}" + _encode((answer,)).decode())


class PayloadDecoder(Generic[P]):
    """Decodes an argument straight into `kind`; made once for each contract."""

    def __init__(self, kind: type[P]) -> None:
        self.json = msgspec.json.Decoder(kind)


class Arguments:
    """The arguments of an event (or the `auth` of a CONNECT) as they arrived, not decoded yet.

    `binary` says that at least one binary attachment came with them; such arguments are not decoded.
    """

    __slots__ = ("binary", "raw", "size")

    def __init__(self, raw: list[msgspec.Raw], size: int, *, binary: bool = False) -> None:
        self.raw = raw
        self.size = size
        self.binary = binary

    def __len__(self) -> int:
        return len(self.raw)

    def decode(self, decoder: PayloadDecoder[P]) -> P:
        """The only argument as the decoder's type.

        Raises msgspec.ValidationError (its message names the field as a path), msgspec.DecodeError or RecursionError.
        """
        return decoder.json.decode(self.raw[0])
