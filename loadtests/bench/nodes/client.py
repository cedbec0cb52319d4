"""A Socket.IO client over a bare TCP connection, in as little Python as it takes: thousands fit into one process.

It reads what a server of ours sends, and neither checks nor waits: whoever owns it is called for each event.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, Protocol, cast

import msgspec

_RESET = struct.pack("ii", 1, 0)
_NO_MASK = bytes(4)
"""Frames of a client are masked; with this they stay as they are."""
_TEXT, _CLOSE, _PING, _PONG = 0x1, 0x8, 0x9, 0xA

_decode = msgspec.json.Decoder().decode
_encode = msgspec.json.Encoder().encode

OnAnswer = Callable[[dict[str, Any]], None]


class Owner(Protocol):
    """Whose client it is."""

    auth: str
    """The JSON of the CONNECT."""

    def heard(self, event: str, payload: dict[str, Any]) -> None:
        """An event came."""
        ...

    def ended(self, client: "Client") -> None:
        """The connection is over, whoever ended it."""
        ...


class Client(asyncio.Protocol):
    """One connection."""

    def __init__(self, owner: Owner, port: int) -> None:
        self._owner = owner
        self._port = port
        self._transport: asyncio.Transport | None = None
        self._upgraded = False
        self._bytes = b""
        self._answers: dict[int, OnAnswer] = {}
        self._number = 0

    def emit(self, event: str, payload: object, on_answer: OnAnswer) -> None:
        """Send an event; `on_answer` is given the body of its ack."""
        self._number += 1
        self._answers[self._number] = on_answer
        self._write(_TEXT, b"42%d%b" % (self._number, _encode((event, payload))))

    def reset(self) -> None:
        """End the connection without a word, as a tunnel does: the server is sent a TCP reset."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
            self._transport.abort()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Ask for a WebSocket."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is none by name
        self._transport.write(
            b"GET /socket.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
            % self._port
        )

    def data_received(self, data: bytes) -> None:
        """Take the whole frames."""
        self._bytes += data
        if not self._upgraded:
            head, found, rest = self._bytes.partition(b"\r\n\r\n")
            if not found:
                return
            if not head.startswith(b"HTTP/1.1 101"):
                self.reset()
                return
            self._upgraded, self._bytes = True, rest
        while length := self._take_frame():
            self._bytes = self._bytes[length:]

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell the owner."""
        self._owner.ended(self)

    # Frames and packets

    def _take_frame(self) -> int:
        """Handle the first frame, and say how long it was; 0 when it is not there as a whole."""
        data = self._bytes
        if len(data) < 2:
            return 0
        begin, length = 2, data[1]
        if length >= 126:
            begin = 4 if length == 126 else 10
            length = int.from_bytes(data[2:begin], "big")
        if len(data) < begin + length:
            return 0
        self._frame(data[0] & 15, data[begin : begin + length])
        return begin + length

    def _frame(self, kind: int, data: bytes) -> None:
        if kind == _TEXT:
            self._packet(data)
        elif kind == _PING:
            self._write(_PONG, data)
        elif kind == _CLOSE:
            self.reset()

    def _packet(self, data: bytes) -> None:
        kind = data[:2]
        if kind == b"42":
            event, *values = _decode(data[2:])
            self._owner.heard(event, values[0] if values else {})
        elif kind == b"43":
            number, _, rest = data[2:].partition(b"[")
            (body,) = _decode(b"[" + rest)
            self._answers.pop(int(number))(body)
        elif kind[:1] == b"0":
            self._write(_TEXT, b"40" + self._owner.auth.encode())
        elif kind[:1] == b"2":
            self._write(_TEXT, b"3")
        elif kind in {b"41", b"44"}:
            self.reset()

    def _write(self, kind: int, data: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        length = len(data)
        size = bytes((0x80 | length,)) if length < 126 else b"\xfe" + length.to_bytes(2, "big")
        self._transport.write(bytes((0x80 | kind,)) + size + _NO_MASK + data)
