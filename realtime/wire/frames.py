"""WebSocket frames (RFC 6455, section 5), without I/O: bytes in, messages and control frames out.

What nearly every frame is (final, masked, not compressed) is read here in a few steps. At the first frame that is
anything else, the connection's bytes go to the `websockets` library from then on: fragments, compressed messages,
reserved bits and whatever else. Both ways give the same messages and the same faults.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final, TypeAlias

from websockets.exceptions import ProtocolError
from websockets.extensions import Extension
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side, State
from websockets.speedups import apply_mask

MORE: Final = 0x0
"""In place of an opcode: no message yet, and not all that came was looked at. Others get their turn first."""
TEXT: Final = 0x1
BINARY: Final = 0x2
CLOSE: Final = 0x8
PING: Final = 0x9
PONG: Final = 0xA

Message: TypeAlias = tuple[int, bytes]
"""An opcode and its whole payload, unmasked."""

_FINAL = 0x80
_MASKED = 0x80
_LONG, _LONGEST = 126, 127
_LONGEST_CONTROL = 125
_MASK_BYTES = 4
_PROTOCOL_ERROR = 1002
_NOT_UTF8 = 1007
_TOO_BIG = 1009
_NO_STATUS = 1005
_PIECE = 4096
"""Bytes that the library reads at once: it reads whole frames ahead, and compressed ones grow a thousandfold."""
_SHORTEST = 2 + _MASK_BYTES
_QUICK_TEXT = _FINAL | TEXT
_QUICK_LONG = _MASKED | _LONG
_QUICK = frozenset((_FINAL | TEXT, _FINAL | BINARY, _FINAL | CLOSE, _FINAL | PING, _FINAL | PONG))


class FrameFault(Exception):
    """Not WebSocket: the connection is closed with this status."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class FrameReader:
    """Reads the frames of one client. After a fault, or a close frame, it is not asked any more."""

    __slots__ = ("_at", "_data", "_extensions", "_library", "_most_bytes")

    def __init__(self, most_bytes: int, extensions: Sequence[Extension] = ()) -> None:
        """`most_bytes`: of a message, decompressed. `extensions`: as negotiated; any makes every frame unusual."""
        self._most_bytes = most_bytes
        self._extensions = extensions
        self._data: bytes | bytearray = b""
        self._at = 0
        self._library: _Library | None = _Library(most_bytes, extensions) if extensions else None

    def allow(self, most_bytes: int) -> None:
        """Read larger messages from now on."""
        self._most_bytes = most_bytes
        if self._library is not None:
            self._library.allow(most_bytes)

    def whole(self, data: bytes) -> bytes | None:
        """The payload of the one text frame that these bytes are, as nearly every read is; None to `feed` them."""
        length = len(data) - _SHORTEST
        if self._data or length < 0 or data[0] != _QUICK_TEXT or self._library is not None:
            return None
        if length < _LONG:
            return apply_mask(data[6:], data[2:6]) if data[1] == length | _MASKED else None
        length -= 2
        if data[1] == _QUICK_LONG and _LONG <= length <= self._most_bytes and length == data[2] << 8 | data[3]:
            return apply_mask(data[8:], data[4:8])
        return None

    def feed(self, data: bytes) -> None:
        """Take what the network brought."""
        if self._library is not None:
            self._library.feed(data)
        elif self._at == len(self._data):
            self._data, self._at = data, 0
        else:
            self._keep_rest()
            self._data += data

    def next(self) -> Message | None:
        """The next whole message or control frame, or MORE; None when more has to come. Raises FrameFault."""
        if self._library is not None:
            return self._library.next()
        data, at = self._data, self._at
        left = len(data) - at
        if left < 2:
            if not left:
                self._data, self._at = b"", 0  # a connection that is silent holds nothing of what it said last
            return None
        first, length = data[at], data[at + 1]
        if first not in _QUICK:
            return self._go_slow()
        if length < _MASKED:
            raise FrameFault(_PROTOCOL_ERROR)
        length -= _MASKED
        at += 2
        if length >= _LONG:
            if first & 0x8:
                return self._go_slow()
            width = 2 if length == _LONG else 8
            if left < 2 + width:
                return None
            length = int.from_bytes(data[at : at + width], "big")
            at += width
        if length > self._most_bytes:
            raise FrameFault(_TOO_BIG)
        begin = at + _MASK_BYTES
        end = begin + length
        if end > len(data):
            return None
        payload = apply_mask(data[begin:end], data[at:begin])
        if end == len(data):
            self._data, self._at = b"", 0  # keeps nothing of a client that now says nothing
        else:
            self._at = end
        return first & 0xF, payload

    @property
    def held(self) -> int:
        """Bytes kept until the rest of their message comes."""
        return self._library.held if self._library is not None else len(self._data) - self._at

    def _keep_rest(self) -> None:
        if not isinstance(self._data, bytearray):
            self._data = bytearray(memoryview(self._data)[self._at :])
        else:
            del self._data[: self._at]
        self._at = 0

    def _go_slow(self) -> Message | None:
        self._library = _Library(self._most_bytes, self._extensions)
        self._library.feed(bytes(self._data[self._at :]))
        self._data, self._at = b"", 0
        return self._library.next()


class _Library:
    """The same, by the `websockets` library."""

    def __init__(self, most_bytes: int, extensions: Sequence[Extension]) -> None:
        self._protocol = Protocol(Side.SERVER, state=State.OPEN, max_size=most_bytes)
        self._protocol.extensions = list(extensions)
        self._data = bytearray()
        """What the library has not been given yet."""
        self._frames: deque[Frame] = deque()
        self._opcode = TEXT
        self._message = bytearray()
        """The fragments so far, in one: a message may come in as many as it has bytes, or more."""

    def allow(self, most_bytes: int) -> None:
        self._protocol.max_message_size = most_bytes

    @property
    def held(self) -> int:
        frames = sum(len(frame.data) for frame in self._frames)
        return len(self._data) + len(self._protocol.reader.buffer) + len(self._message) + frames

    def feed(self, data: bytes) -> None:
        self._data += data

    def next(self) -> Message | None:
        if not self._frames and self._protocol.parser_exc is None:
            if not self._data:
                return None
            self._read_piece()
        while self._frames:
            if (message := self._take(self._frames.popleft())) is not None:
                return message
        if self._protocol.parser_exc is not None:
            sent = self._protocol.close_sent
            raise FrameFault(sent.code if sent is not None else _PROTOCOL_ERROR)
        return (MORE, b"") if self._data else None

    def _read_piece(self) -> None:
        self._protocol.receive_data(self._data[:_PIECE])
        del self._data[:_PIECE]
        self._protocol.data_to_send()  # its own answers: ours are given by whoever reads these messages
        self._frames += (event for event in self._protocol.events_received() if isinstance(event, Frame))

    def _take(self, frame: Frame) -> Message | None:
        """One frame: a control frame, or the end of a message."""
        if frame.opcode not in (Opcode.TEXT, Opcode.BINARY, Opcode.CONT):
            return int(frame.opcode), bytes(frame.data)
        if frame.opcode is not Opcode.CONT:
            self._opcode = int(frame.opcode)
        self._message += frame.data
        if not frame.fin:
            return None
        whole, self._message = bytes(self._message), bytearray()
        return self._opcode, whole


def close_status(payload: bytes) -> int:
    """The status in a peer's close frame, 1005 when it says none. Raises FrameFault."""
    try:
        return int(Close.parse(payload).code)
    except ProtocolError as fault:
        raise FrameFault(_PROTOCOL_ERROR) from fault
    except UnicodeDecodeError as fault:
        raise FrameFault(_NOT_UTF8) from fault


def frame(opcode: int, data: bytes) -> bytes:
    """One final, unmasked frame."""
    length = len(data)
    if length < _LONG:
        return bytes((_FINAL | opcode, length)) + data
    if length < 1 << 16:
        return bytes((_FINAL | opcode, _LONG)) + length.to_bytes(2, "big") + data
    return bytes((_FINAL | opcode, _LONGEST)) + length.to_bytes(8, "big") + data


def close_frame(status: int, reason: str = "") -> bytes:
    """A close frame; the reason is cut to what such a frame may hold."""
    if status == _NO_STATUS:
        return frame(CLOSE, b"")
    told = reason.encode()[: _LONGEST_CONTROL - 2].decode(errors="ignore").encode()
    return frame(CLOSE, status.to_bytes(2, "big") + told)
