"""The WebSocket transport below uvicorn: written to without ASGI, and really closed.

uvicorn's own protocol class does the handshake and reads frames. This one adds what ASGI cannot say: many frames in one
write, at most so many bytes ahead of the network, a close that does not wait for the peer, and a shutdown that no
stalled peer can hold up. It leans on private parts of uvicorn 0.54; `tests/realtime/wire/test_private_parts.py` names
them.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

from uvicorn._types import ASGISendEvent
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.protocol import State

LINK: Final = "throttlecove.link"
"""The ASGI scope extension under which an application finds the link."""

_CUT_AFTER_SECONDS = 0.5
_ABNORMAL = 1006
_NOT_UTF8 = 1007


class Link(WebSocketsSansIOProtocol):
    """One WebSocket connection. Give this class to uvicorn as `ws=`."""

    _on_writable: Callable[[], None] | None = None
    _ahead_bytes: int = 0
    _cut_timer: asyncio.TimerHandle | None = None

    def attach(self, on_writable: Callable[[], None], ahead_bytes: int) -> None:
        """Call `on_writable` whenever the transport takes bytes again after it was full at `ahead_bytes`."""
        self._on_writable = on_writable
        self._ahead_bytes = ahead_bytes
        # `paused` begins when there is no `room`, neither earlier nor later.
        self.transport.set_write_buffer_limits(high=ahead_bytes - 1)

    def detach(self) -> None:
        """Call nobody any more."""
        self._on_writable = None

    @property
    def open(self) -> bool:
        """Whether frames can still be written."""
        return (
            self.handshake_complete
            and not self.close_sent
            and self.conn.state is State.OPEN
            and not self.transport.is_closing()
        )

    @property
    def paused(self) -> bool:
        """Whether the transport is full; `on_writable` follows."""
        return not self.writable.is_set()

    @property
    def room(self) -> int:
        """Bytes the transport takes now."""
        return max(0, self._ahead_bytes - self.transport.get_write_buffer_size())

    @property
    def unsent(self) -> int:
        """Bytes the transport holds."""
        return self.transport.get_write_buffer_size()

    def write(self, frames: bytes) -> None:
        """Write whole frames, made elsewhere."""
        if self.open:
            self.transport.write(frames)

    def finish(self, last_frames: bytes, status: int, reason: str, within_seconds: float) -> None:
        """Write the last frames and a close frame, say end-of-file, and cut the connection after `within_seconds`."""
        if not self.open:
            self.cut_after(within_seconds)
            return
        self.queue.put_nowait({"type": "websocket.disconnect", "code": status, "reason": reason})
        self.conn.send_close(status, reason)
        self._write_last(last_frames, within_seconds)

    def _write_last(self, last_frames: bytes, within_seconds: float) -> None:
        """Say goodbye, then read and throw away what the peer still sends, so that no reset eats our last bytes."""
        self.transport.write(last_frames + b"".join(self.conn.data_to_send()))
        self.close_sent = True
        # By uvicorn's own rule the end of the ASGI call leaves the connection alone while this timer is set.
        self.close_timer = self.loop.call_later(within_seconds, self._cut)
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()
        if self.transport.can_write_eof():
            try:
                self.transport.write_eof()
            except OSError:  # the peer has reset the connection; the event loop has yet to say so
                self.transport.abort()

    def cut_after(self, seconds: float) -> None:
        """Close what is left of the connection, whatever the peer does."""
        if self.disconnected or self._cut_timer is not None:
            return
        self._cut_timer = self.loop.call_later(seconds, self._cut)
        self.transport.close()

    def _cut(self) -> None:
        if not self.disconnected:
            self.transport.abort()

    # What uvicorn and the event loop call

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if not self.close_sent:
            extensions: dict[str, Any] = self.scope.setdefault("extensions", {})
            extensions[LINK] = self

    async def send(self, message: ASGISendEvent) -> None:
        await super().send(message)
        if self.close_sent:
            # uvicorn forgets this after a refusal with a response of its own, and then logs an error.
            self.handshake_complete = True

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._on_writable is not None:
            self._on_writable()

    def send_receive_event_to_app(self) -> None:
        if self.curr_msg_data_type == "text" and not self.close_sent:
            try:
                text = b"".join(self.frames).decode()
            except UnicodeDecodeError:  # uvicorn logs this as an error of ours
                self.frames = []
                self.conn.send_close(_NOT_UTF8)
                self.handle_parser_exception()
                return
            self.frames = []
            self.queue.put_nowait({"type": "websocket.receive", "text": text})
            if not self.read_paused:
                self.read_paused = True
                self.transport.pause_reading()
            return
        super().send_receive_event_to_app()

    def handle_parser_exception(self) -> None:
        if self.close_sent:
            return
        sent = self.conn.close_sent
        code, reason = (sent.code, sent.reason) if sent else (_ABNORMAL, "")
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self._write_last(b"", _CUT_AFTER_SECONDS)

    def handle_close(self, event: Frame) -> None:
        super().handle_close(event)
        self.cut_after(_CUT_AFTER_SECONDS)

    def shutdown(self) -> None:
        super().shutdown()
        self.cut_after(_CUT_AFTER_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._cut_timer is not None:
            self._cut_timer.cancel()
            self._cut_timer = None
        super().connection_lost(exc)
