"""HTTP requests up to the end of their heads: uvicorn's protocol class, with bounds.

uvicorn waits for a head for ever and keeps whatever comes of it. Promises: a head that does not end within so many
bytes (431) or seconds (cut) ends its connection, for long-polling, REST and handshakes alike; a WebSocket begins only
when nothing is being answered on its connection, and hears what came right behind its handshake. Bodies and answers
take what time they need: they are left to the application. Costs less than 1 µs a request beside uvicorn's own.
"""

import asyncio
import functools
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any, cast

import httptools
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from realtime.wire.deadlines import Deadlines
from realtime.wire.options import WireOptions

_LINE_EXTRA = 4
"""The colon, the space and the line's end of a header."""


class Bounds:
    """What all connections of a server share: how much, and until when."""

    def __init__(self, options: Sequence[WireOptions]) -> None:
        """The widest of all `options` hold, as they share a port."""
        self.head_bytes = max(each.head_bytes for each in options)
        self.close_within_seconds = max(each.close_within_seconds for each in options)
        self.waiting = Deadlines[asyncio.Transport](
            max(each.head_within_seconds for each in options), lambda late: late.abort()
        )
        """Connections from which the rest of a head has to come."""


def bounded_http(bounds: Bounds) -> functools.partial["BoundedHttp"]:
    """What uvicorn takes as `http=`."""
    return functools.partial(BoundedHttp, bounds)


class _HeadTooLarge(Exception):
    """Raised through the parser."""


class BoundedHttp(HttpToolsProtocol):
    """One TCP connection, until it becomes a WebSocket."""

    def __init__(
        self,
        bounds: Bounds,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """All but `bounds` is what uvicorn gives."""
        super().__init__(config, server_state, app_state, _loop)
        self._bounds = bounds
        self._in_head = False
        """Whether what comes next is kept by the parser: part of a head, or of the headers behind a body in chunks."""
        self._read = 0
        """Of what is kept, at most this much has come."""
        self._refused = False

    @property
    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    # What the event loop calls

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if transport not in self._bounds.waiting:
            self._bounds.waiting.start(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._bounds.waiting.stop(self.transport)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """As uvicorn's own, but that it counts and knows where a WebSocket begins."""
        if self._refused:
            return  # thrown away
        self._unset_keepalive_if_required()
        self._count(len(data))
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            if self._should_upgrade():
                self._hand_over(data[upgrade.args[0] :])
                return
            self._unsupported_upgrade_warning()
        except httptools.HttpParserError as fault:
            self._refuse_fault(fault)
            return
        self._look()

    # What the parser calls

    def on_message_begin(self) -> None:
        self._in_head = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        if self._read > self._bounds.head_bytes and self._head_size() > self._bounds.head_bytes:
            raise _HeadTooLarge
        before = self.cycle
        super().on_headers_complete()
        if self.cycle is not before:  # a request for a WebSocket has no cycle, and ends when it is handed over
            self._in_head = False
            self._bounds.waiting.stop(self.transport)

    def on_chunk_header(self) -> None:
        """A chunk or, behind the last one, more headers."""
        self._in_head = True
        self._read = 0

    def on_body(self, body: bytes) -> None:
        if self.cycle is not None:
            self._in_head = False
            super().on_body(body)

    def on_chunk_complete(self) -> None:
        """The end of a chunk and, with the last one, of the headers behind it."""
        self._in_head = False

    # Bounds

    def _count(self, size: int) -> None:
        """What comes in the middle of a body is no head; the beginning of one in there counts from its next bytes."""
        if self._in_head:
            self._read += size
        else:
            self._read = 0 if self.cycle is not None and self.cycle.more_body else size

    def _head_size(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + _LINE_EXTRA for name, value in self.headers)

    def _look(self) -> None:
        """uvicorn's keep-alive timer ends with the first byte of whatever it is: from there it is our time."""
        if self._in_head and self._read > self._bounds.head_bytes:
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif not self._answering and self.transport not in self._bounds.waiting:
            self._bounds.waiting.start(self.transport)

    # Ends

    def _hand_over(self, rest: bytes) -> None:
        """It is a WebSocket from now on, and `rest` came in the same read (RFC 6455 has clients wait; not all do)."""
        if self._answering:
            self._refuse(HTTPStatus.BAD_REQUEST, "an answer is under way on this connection")
            return
        self._bounds.waiting.stop(self.transport)
        self.handle_websocket_upgrade()
        self.parser = None  # type: ignore[assignment]  # they know each other; apart, both are freed right now
        if rest:
            cast(asyncio.Protocol, self.transport.get_protocol()).data_received(rest)

    def _refuse_fault(self, fault: httptools.HttpParserError) -> None:
        if isinstance(fault.__context__, _HeadTooLarge):
            self._refuse(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        else:
            self.logger.warning("Invalid HTTP request received.")
            self._refuse(HTTPStatus.BAD_REQUEST, "Invalid HTTP request received.")

    def _refuse(self, status: HTTPStatus, sentence: str = "") -> None:
        """Answer, unless that would be in the middle of another answer, and close.

        What the peer still sends is read and thrown away for a moment, so that no reset eats the answer.
        """
        self._refused = True
        self._bounds.waiting.stop(self.transport)
        self.loop.call_later(self._bounds.close_within_seconds, self.transport.abort)
        if not self._answering:
            self.transport.write(_answer(status, sentence))
            self._say_end_of_file()
            return
        if not self.cycle.response_started and not self.pipeline:
            self.transport.write(_answer(status, sentence))
        self.transport.close()

    def _say_end_of_file(self) -> None:
        if self.transport.can_write_eof():
            try:
                self.transport.write_eof()
            except OSError:  # the peer has reset the connection; the event loop has yet to say so
                self.transport.abort()


def _answer(status: HTTPStatus, sentence: str) -> bytes:
    body = (sentence or status.phrase).encode()
    return (
        f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: text/plain; charset=utf-8\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
