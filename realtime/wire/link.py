"""The TCP side of a WebSocket, as uvicorn's protocol class: Socket.IO is served right here and never enters ASGI.

One of these is made for each upgrade: by `entrance`, or by uvicorn (its documented `ws=` seam). Requests for one of our
paths are answered by the engine of that path; every other one is handed to uvicorn's own class. Promises: a close is a
close within `close_within_seconds`, whatever the peer does; no input raises out of here; many frames in one read are
handled in slices, so that no peer holds up the others.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol, cast

import structlog
from uvicorn.config import Config
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState

from realtime.wire.frames import (
    BINARY,
    CLOSE,
    MORE,
    PING,
    PONG,
    TEXT,
    FrameFault,
    FrameReader,
    close_frame,
    close_status,
    frame,
)
from realtime.wire.handshake import Refusal, accept, parse_request, refusing, switching, target_of
from realtime.wire.options import WireOptions
from realtime.wire.unsent import keep_little_unsent

if TYPE_CHECKING:
    from realtime.wire.engine import Engine

_log = structlog.get_logger(__name__)

_SLICE = 64
"""Messages of one connection that are handled before others, and what these messages have begun, get their turn."""
_SLICE_BYTES = 64 * 1024
"""The same in bytes: large messages may become much larger still when they are decoded."""
_GOING_AWAY: Final = 1012
_SERVER_ERROR: Final = 1011
_NOT_UTF8: Final = 1007


class Taker(Protocol):
    """Who takes text messages as they arrived, as far as it can."""

    def take(self, packet: bytes) -> bool:
        """One message, not decoded. False: it is for `Hearing.hear`. Raises UnicodeDecodeError."""
        ...


class Hearing(Protocol):
    """Who hears what arrives on a link: a session, or an upgrade of one that is being tried."""

    @property
    def taker(self) -> Taker | None:
        """Who takes what it can before `hear` is asked."""
        ...

    def hear(self, link: "Link", data: str | bytes) -> bool:
        """One message. False: no more for now, until `link.go_on()`."""
        ...

    def lost(self, link: "Link", reason: str) -> None:
        """The link is gone, by the peer's doing."""
        ...

    def writable(self, link: "Link") -> None:
        """The transport takes bytes again after it was full."""
        ...

    def full(self, link: "Link") -> None:
        """The transport takes no more for now."""
        ...


class Link(asyncio.Protocol):
    """One TCP connection that asked to become a WebSocket."""

    __slots__ = (
        "_ahead_bytes",
        "_config",
        "_cut_timer",
        "_engines",
        "_hearing",
        "_held",
        "_other",
        "_pong",
        "_reader",
        "_state",
        "_within",
        "address",
        "finished",
        "full",
        "transport",
    )

    def __init__(
        self,
        engines: "Mapping[str, Engine]",
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """`engines` by path; the rest is what uvicorn gives."""
        self._engines = engines
        self._config = config
        self._state = (server_state, app_state)
        self._other: WebSocketsSansIOProtocol | None = None
        self._reader: FrameReader | None = None
        self._hearing: Hearing | None = None
        self._held = False
        self._pong: bytes | None = None
        """The answer to the newest ping, while the transport is full."""
        self._cut_timer: asyncio.TimerHandle | None = None
        self._within = 0.5
        self._ahead_bytes = 0
        self.full = False
        """Whether the transport takes no more for now."""
        self.finished = False
        """Whether our last bytes are written."""
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.address = "local"

    # What the session calls

    def open(
        self, hearing: Hearing, answer: bytes, reader: FrameReader, options: WireOptions, *, unsent_is_set: bool = False
    ) -> None:
        """The WebSocket is open: `answer` goes out, and `hearing` hears what comes in.

        `unsent_is_set`: the socket has inherited how little the kernel keeps.
        """
        self._reader = reader
        self._hearing = hearing
        self._within = options.close_within_seconds
        self._ahead_bytes = ahead_bytes = options.ahead_bytes
        # Full begins with the last byte allowed ahead, and ends when half of that has gone.
        self.transport.set_write_buffer_limits(high=ahead_bytes - 1, low=ahead_bytes // 2)
        if not unsent_is_set:
            keep_little_unsent(self.transport.get_extra_info("socket"), ahead_bytes)
        self.transport.write(answer)

    def allow(self, most_bytes: int) -> None:
        """Read larger messages from now on."""
        if self._reader is not None:
            self._reader.allow(most_bytes)

    def hand_over(self, hearing: Hearing) -> None:
        """Somebody else hears from now on."""
        self._hearing = hearing

    def go_on(self) -> None:
        """Hear again after `hear` said not to."""
        if not self._held or self.finished:
            return
        self._held = False
        try:
            self._read_slice()
        except Exception as error:  # noqa: BLE001 - the edge
            self._faulty(error)
        if not self._held and not self.finished:
            self.transport.resume_reading()

    def finish(self, last_frames: bytes, status: int, reason: str, within_seconds: float) -> None:
        """Write the last frames and a close frame, say end-of-file, and cut the connection after `within_seconds`.

        What the peer still sends is read and thrown away until then, so that no reset eats our last bytes.
        """
        self._hearing = None
        if self.finished:
            return
        self.finished = True
        if self.transport.is_closing():
            return
        self.transport.write(last_frames + close_frame(status, reason))
        self._cut_after(within_seconds)
        self.transport.resume_reading()
        if self.transport.can_write_eof():
            try:
                self.transport.write_eof()
            except OSError:  # the peer has reset the connection; the event loop has yet to say so
                self.transport.abort()

    # What uvicorn and the event loop call

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.address = str(peer[0])
        self._state[0].connections.add(self)  # type: ignore[arg-type]  # it asks for `shutdown` only

    def data_received(self, data: bytes) -> None:
        reader = self._reader
        if reader is None:
            self._request(data)
        elif self.finished:
            return  # thrown away
        elif self._held:
            reader.feed(data)
        else:
            try:
                text = reader.whole(data)
                if text is None:
                    reader.feed(data)
                    self._read_slice()
                elif (hearing := self._hearing) is not None and (
                    (taker := hearing.taker) is None or not taker.take(text)  # nearly always it is taken
                ):
                    self._hear(hearing, text)
            except Exception as error:  # noqa: BLE001 - the edge
                self._faulty(error)

    def pause_writing(self) -> None:
        self.full = True
        if self._hearing is not None:
            self._hearing.full(self)
        elif self._other is not None:
            self._other.pause_writing()

    def resume_writing(self) -> None:
        self.full = False
        if self._hearing is not None:
            if self._pong is not None:
                pong, self._pong = self._pong, None
                self.transport.write(pong)
            self._hearing.writable(self)
        elif self._other is not None:
            self._other.resume_writing()

    def eof_received(self) -> None:
        """The transport closes itself when all is written, which a peer that does not read may put off for ever."""
        if self._other is None:
            self._cut_after(self._within)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._cut_timer is not None:
            self._cut_timer.cancel()
        if self._other is not None:
            self._other.connection_lost(exc)
            return
        self._state[0].connections.discard(self)
        self.finished = True
        hearing, self._hearing, self._reader = self._hearing, None, None
        if hearing is not None:
            hearing.lost(self, "transport error" if exc is not None else "transport close")

    def shutdown(self) -> None:
        """uvicorn stops: whoever is still here was not sent away before."""
        if self._other is not None:
            self._other.shutdown()
        elif self._reader is None:
            self.transport.abort()
        else:
            hearing = self._hearing
            self.finish(b"", _GOING_AWAY, "", self._within)
            if hearing is not None:
                hearing.lost(self, "transport close")

    # The request

    def _request(self, data: bytes) -> None:
        """What comes while this is no WebSocket of ours."""
        if self._other is not None:
            self._pass_on(self._other, data)
        elif not self.finished:
            self._answer(data)

    def _answer(self, data: bytes) -> None:
        if self.transport.get_write_buffer_size():
            # It asked without having read earlier answers: nobody does, and nobody told us that the transport is full.
            self.transport.abort()
            return
        target = target_of(data)
        engine = self._engines.get(target[0]) if target is not None else None
        if engine is None or target is None:
            self._leave_to_uvicorn(data)
            return
        try:
            request = parse_request(data, *target)
            accepted = accept(request)
            protocols = request.headers.get("sec-websocket-protocol")
            engine.open_websocket(self, request, lambda extensions: switching(accepted, extensions, protocols))
        except Refusal as refusal:
            self._refuse(refusal)
        except Exception:  # noqa: BLE001 - the edge: a fault of ours, logged once
            _log.exception("handshake_failed")
            self.transport.abort()

    def _refuse(self, refusal: Refusal) -> None:
        self.finished = True
        self.transport.write(refusing(refusal))
        self.transport.close()
        self._cut_after(self._within)

    def _leave_to_uvicorn(self, data: bytes) -> None:
        server_state, app_state = self._state
        self._other = other = WebSocketsSansIOProtocol(self._config, server_state, app_state)
        server_state.connections.discard(self)
        other.connection_made(self.transport)
        self._pass_on(other, data)

    def _pass_on(self, other: WebSocketsSansIOProtocol, data: bytes) -> None:
        """uvicorn's class trips over frames that come before its application has accepted."""
        try:
            other.data_received(data)
        except Exception as error:  # noqa: BLE001 - the edge: what a peer sends is no fault of ours
            _log.warning("other_websocket_failed", error=type(error).__name__)
            self.transport.abort()

    # Frames

    def _read_text(self, text: bytes) -> bool:
        """Hand on one text message. False: no more for now."""
        hearing = self._hearing
        if hearing is None or ((taker := hearing.taker) is not None and taker.take(text)):
            return True
        return self._hear(hearing, text)

    def _hear(self, hearing: Hearing, text: bytes) -> bool:
        if hearing.hear(self, text.decode()):
            return True
        self._hold()
        return False

    def _read_slice(self) -> None:
        reader = self._reader
        messages, size = 0, 0
        while messages < _SLICE and size < _SLICE_BYTES:
            if reader is None or self.finished or (message := reader.next()) is None:
                return
            opcode, data = message
            messages += 1
            size += len(data)
            if opcode == TEXT:
                if not self._read_text(data):
                    return
            elif opcode == BINARY:
                if self._hearing is not None and not self._hearing.hear(self, data):
                    self._hold()
                    return
            elif opcode == PING:
                self._answer_ping(data)
            elif opcode == CLOSE:
                self._closed_by_peer(data)
            elif opcode == MORE:
                break
        self._hold()
        asyncio.get_running_loop().call_soon(self.go_on)

    def _answer_ping(self, data: bytes) -> None:
        """Of the pings that come while the transport is full only the newest is answered (RFC 6455, section 5.5.3)."""
        pong = frame(PONG, data)
        if self.transport.get_write_buffer_size() < self._ahead_bytes:
            self.transport.write(pong)
        else:
            self._pong = pong

    def _cut_after(self, seconds: float) -> None:
        """Cut the connection, whatever is not written until then."""
        if self._cut_timer is None:
            self._cut_timer = asyncio.get_running_loop().call_later(seconds, self.transport.abort)

    def _hold(self) -> None:
        if not self._held and not self.finished:
            self._held = True
            self.transport.pause_reading()

    def _closed_by_peer(self, payload: bytes) -> None:
        status = close_status(payload)
        hearing = self._hearing
        self.finish(b"", status, "", self._within)
        if hearing is not None:
            hearing.lost(self, "transport close")

    def _faulty(self, error: Exception) -> None:
        """Reading has failed: that ends this connection and nothing else."""
        if isinstance(error, FrameFault):
            self._fail(error.status)
        elif isinstance(error, UnicodeDecodeError):
            self._fail(_NOT_UTF8)
        else:
            _log.error("connection_failed", exc_info=error)
            self._fail(_SERVER_ERROR)

    def _fail(self, status: int) -> None:
        hearing = self._hearing
        self.finish(b"", status, "", self._within)
        if hearing is not None:
            hearing.lost(self, "parse error")
