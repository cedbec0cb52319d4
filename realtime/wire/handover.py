"""HTTP connections that several processes of one machine share: each request is answered where its session lives.

The kernel gives a connection to any of the processes behind a port; a long-polling request, or the WebSocket that one
of them moves to, belongs to the process that began its session, with whose name the session's id begins. So the
connection itself changes hands, with what was read of it; what comes next on it is read there. Promises: a request is
handed over once at most, whole, and never before what was asked earlier on its connection is answered; what nobody
takes over is answered here, as Engine.IO answers for a session that nobody knows. What names no session is not looked
at, and frames of WebSockets do not come by. Connections that are encrypted in this process cannot change hands: TLS
ends before it.
"""

import asyncio
import functools
from collections.abc import Collection
from typing import Any, NamedTuple, Protocol, cast

import httptools
from uvicorn.config import Config
from uvicorn.server import ServerState

from realtime.wire.handshake import parse_query
from realtime.wire.http import BoundedHttp, Bounds

_END = b"\r\n\r\n"
_SLICE = 64
"""Pieces of what one connection has sent that are read before others get their turn."""
_UNSENT_LOOK_SECONDS = 0.02
"""Between looks at an answer that its client, who already asks again, has yet to read."""


class Siblings(Protocol):
    """The other processes behind the port, by the names that the ids of their sessions begin with."""

    def __contains__(self, name: object, /) -> bool: ...

    def give(self, name: str, descriptor: int, data: bytes) -> bool:
        """Hand a connection over, with what was read of it and not used. The descriptor stays the caller's.

        False: that process is not there; the connection stays here.
        """
        ...


class Sharing(NamedTuple):
    """With whom connections are shared, and for which paths."""

    siblings: Siblings
    paths: Collection[bytes]


def shared_http(bounds: Bounds, siblings: Siblings, paths: Collection[str]) -> "functools.partial[SharedHttp]":
    """What uvicorn takes as `http=`; with `given` it makes the protocol of a connection that was handed over."""
    spellings = {path.rstrip("/") for path in paths}
    whole = frozenset(each.encode() for path in spellings for each in (path, f"{path}/"))
    return functools.partial(SharedHttp, Sharing(siblings, whole), bounds)


def node_of_session(sid: str) -> str:
    """The name of the process that began it; empty when it has none."""
    return sid.rpartition(".")[0]


class _Gone(Exception):
    """Raised through the parser: what it reads is somebody else's now."""


class SharedHttp(BoundedHttp):
    """One TCP connection, until it becomes a WebSocket or changes hands.

    The parser is given one request at a time, and heads by themselves: so what is a request's is known by the byte.
    """

    def __init__(
        self,
        sharing: Sharing,
        bounds: Bounds,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        given: bytes = b"",
    ) -> None:
        """`given` is what another process has read of this connection."""
        super().__init__(bounds, config, server_state, app_state, _loop)
        self._sharing = sharing
        self._came = given
        """What has come; the parser has had it up to `_at`."""
        self._at = 0
        self._was_given = bool(given)
        """Whether the next request is one that was handed over."""
        self._head = b""
        """What the parser has had of the head that it is in."""
        self._edge = b""
        """The last bytes that it has had, which the end of a head may begin in."""
        self._in_request = False
        self._body_bytes = 0
        """Of a body with a known length, what is to come."""
        self._waits = False
        """Whether reading is paused until an earlier request is answered."""
        self._looking: asyncio.TimerHandle | None = None

    # What the event loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if self._came:
            self.loop.call_soon(self._read_on)  # or with the next bytes, whichever comes first

    def connection_lost(self, exc: Exception | None) -> None:
        self._take_rest()
        if self._looking is not None:
            self._looking.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Have it read, as far as it is its turn."""
        self._came = self._take_rest() + data
        self._read_on()

    # What the parser calls

    def on_message_begin(self) -> None:
        self._in_request = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        was_given, self._was_given = self._was_given, False
        if b"sid=" in self.url and not was_given and (name := self._sibling()) is not None and self._give(name):
            raise _Gone
        super().on_headers_complete()
        self._head = b""
        self._body_bytes = self._length()

    def on_message_complete(self) -> None:
        self._in_request = False
        self._body_bytes = 0
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """The answer is given: the turn of what was asked behind it."""
        super().on_response_complete()
        if self._came:
            self.loop.call_soon(self._read_on)

    # One request at a time

    def _read_on(self) -> None:
        """Give the parser what it may have now, a slice of it before others get their turn."""
        for _ in range(_SLICE):
            if not self._came or self.transport.is_closing():
                self._resume()
                return
            if not self._in_request and self._before_me():
                self._pause()
                return
            super().data_received(self._next_piece())
            if self.parser is None:
                self._hand_on()
        self._pause()
        self.loop.call_soon(self._read_on)

    def _pause(self) -> None:
        self._waits = True
        self.flow.pause_reading()

    def _resume(self) -> None:
        """End our own pause; uvicorn has others: while an application has much of a body to read."""
        if self._waits:
            self._waits = False
            self.flow.resume_reading()

    def _before_me(self) -> bool:
        """Whether an earlier request is not answered, to the last byte: that cannot be done from another process."""
        if self._answering:
            return True
        if not self.transport.get_write_buffer_size():
            return False
        if self._looking is None:
            self._looking = self.loop.call_later(_UNSENT_LOOK_SECONDS, self._look_again)
        return True

    def _look_again(self) -> None:
        self._looking = None
        self._read_on()

    def _next_piece(self) -> bytes:
        """Of what has come, as much as belongs to one body, or up to an empty line, with which each head ends."""
        begin, size = self._at, len(self._came)
        if self._body_bytes:
            end = min(size, begin + self._body_bytes)
            self._body_bytes -= end - begin
        else:
            end = self._end_of_head(begin)
        piece = self._came[begin:end]
        if end < size:
            self._at = end
        else:
            self._came, self._at = b"", 0
        if not self._in_request:
            self._head = piece
        elif self._in_head:
            self._head += piece
        return piece

    def _end_of_head(self, begin: int) -> int:
        """Where the head, or the chunks of a body, that the parser is in may end; the line may have begun earlier."""
        edge, self._edge = self._edge, b""
        if edge and (within := (edge + self._came[begin : begin + len(_END)]).find(_END)) >= 0:
            return begin + within + len(_END) - len(edge)
        end = self._came.find(_END, begin)
        if end >= 0:
            return end + len(_END)
        self._edge = (edge + self._came[begin:])[1 - len(_END) :]
        return len(self._came)

    def _take_rest(self) -> bytes:
        """What the parser has not had, which it is not going to have from here."""
        rest, self._came, self._at = self._came[self._at :], b"", 0
        return rest

    def _length(self) -> int:
        """Of the body, where the head says it; one in chunks ends with an empty line."""
        length = next((value for name, value in self.headers if name == b"content-length"), b"0")
        return int(length) if length.isdigit() else 0

    def _hand_on(self) -> None:
        """It is a WebSocket from now on; what came right behind its handshake is for the protocol of those."""
        rest = self._take_rest()
        if rest and not self.transport.is_closing():
            cast(asyncio.Protocol, self.transport.get_protocol()).data_received(rest)

    # Changing hands

    def _sibling(self) -> str | None:
        """Whose session the request names, if it is another process behind this port."""
        path, _, query = self.url.partition(b"?")
        if path not in self._sharing.paths:
            return None
        name = node_of_session(parse_query(query.decode("latin-1")).get("sid", ""))
        return name if name in self._sharing.siblings else None

    def _give(self, name: str) -> bool:
        """Hand the connection over; what this process has of it is closed, and the connection lives on."""
        if not self._head.endswith(_END):
            return False
        descriptor = self.transport.get_extra_info("socket").fileno()
        if not self._sharing.siblings.give(name, descriptor, self._head + self._came[self._at :]):
            return False
        self._take_rest()
        self.transport.abort()
        return True

    def _refuse_fault(self, fault: httptools.HttpParserError) -> None:
        if not isinstance(fault.__context__, _Gone):
            super()._refuse_fault(fault)
