"""One Engine.IO 4 session, over WebSocket, long-polling, or the one and then the other.

It has the members that python-engineio's request handling expects of a socket, and none of its queues, tasks and
wall-clock liveness. What arrives goes to the server's handlers one after another; what leaves is written in order, as
many packets in one write as the transport takes.
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Protocol

import structlog
from engineio.exceptions import ContentTooLongError, EngineIOError

from realtime.wire.heartbeat import Heartbeat
from realtime.wire.link import LINK, Link
from realtime.wire.options import WireOptions
from realtime.wire.outbox import Outbox
from realtime.wire.packets import Packet

_log = structlog.get_logger(__name__)

CLOSE = Packet("1")
PING = Packet("2")
PROBE_ANSWER = Packet("3probe")
NOOP = "6"

_SEPARATOR = "\x1e"
_SLICE = 32
"""Packets of one connection that are handled before others get their turn."""
_PROTOCOL_ERROR = 1002
_NORMAL = 1000
_IGNORED = ("5", "6")
"""UPGRADE and NOOP mean something during an upgrade only."""
_KINDS = ("1", "3", "4", *_IGNORED)

Environ = dict[str, Any]
Response = dict[str, Any]


class Violation(Exception):
    """Not Engine.IO: the connection is closed."""


class Owner(Protocol):
    """What a connection tells its server."""

    def began(self, connection: "Connection") -> None:
        """A connection was let in."""
        ...

    async def message(self, connection: "Connection", data: str | bytes) -> None:
        """A message arrived; the next one waits until this returns."""
        ...

    def ending(self, connection: "Connection") -> None:
        """The connection takes no more requests."""
        ...

    def ended(self, connection: "Connection", reason: str) -> None:
        """The connection is over; called once, from a clean stack."""
        ...


class Connection:
    """An Engine.IO session."""

    def __init__(self, owner: Owner, sid: str, address: str, options: WireOptions) -> None:
        self.sid = sid
        self.address = address
        self.connected = False
        """Whether long-polling requests are welcome (python-engineio asks)."""
        self.upgraded = False
        """Whether it is on WebSocket (python-engineio asks)."""
        self.closed = False
        self._owner = owner
        self._options = options
        self._loop = asyncio.get_running_loop()
        self._outbox = Outbox()
        self._link: Link | None = None
        self._probing: Link | None = None
        self._poll: asyncio.Future[None] | None = None
        self._flush_due = False
        self._heartbeat = Heartbeat(
            options.ping_interval_seconds,
            options.ping_timeout_seconds,
            ping=lambda: self.send(PING),
            dead=lambda: self.end("ping timeout"),
        )

    # What leaves

    def send(self, packet: Packet) -> None:
        """Queue a packet and have it written soon; never waits."""
        if not self.closed:
            self._outbox.push(packet)
            self._wake()

    def flush(self) -> None:
        """Hand what waits to the transport now, so that even a close in this turn comes after it."""
        self._flush()

    @property
    def overflowing(self) -> bool:
        """Whether more waits than may."""
        return self._outbox.bytes > self._options.queue_bytes or len(self._outbox) > self._options.queue_packets

    def backlog(self) -> int:
        """Packets that wait."""
        return len(self._outbox)

    def end(self, reason: str, last: Sequence[Packet] = (), status: int = _NORMAL) -> None:
        """Drop what waits, send `last` if it can be sent, and close the transport within a second."""
        if self.closed:
            return
        self.closed = True
        self._owner.ending(self)
        self._heartbeat.stop()
        self._outbox.clear()
        within = self._options.close_within_seconds
        if self._probing is not None:
            self._probing.finish(b"", _NORMAL, "", within)
        if self._link is not None:
            self._link.detach()
            self._link.finish(b"".join(packet.frame for packet in last), status, reason, within)
        else:
            # Official clients that read CLOSE in the same response do not look at `last`; their next poll is refused.
            for packet in last or (CLOSE,):
                self._outbox.push(packet)
            self._wake()
        self._loop.call_soon(self._owner.ended, self, reason)

    def _wake(self) -> None:
        if self._link is not None:
            if not self._flush_due and not self._link.paused:
                self._flush_due = True
                self._loop.call_soon(self._flush_in_turn)
        elif self._poll is not None and not self._poll.done():
            self._poll.set_result(None)

    def _flush(self) -> None:
        """Write what the transport takes: once in a turn of the loop, however many packets were sent in it."""
        link = self._link
        if link is None or self.closed:
            return
        while self._outbox and link.open and (room := link.room):
            link.write(self._outbox.take_frames(room))
        if self._outbox and link.open:
            self._wake()

    def _flush_in_turn(self) -> None:
        self._flush_due = False
        self._flush()

    # What arrives

    async def _heard(self, data: str | bytes) -> None:
        """One Engine.IO packet. Raises Violation."""
        if self.closed:
            return
        if isinstance(data, bytes):
            await self._owner.message(self, data)
            return
        kind = data[:1]
        if kind == "4":
            await self._owner.message(self, data[1:])
        elif kind == "3":
            self._heartbeat.heard()
        elif kind == "1":
            self.end("transport close")
        elif kind not in _IGNORED:
            raise Violation("not an Engine.IO packet")

    async def _guarded(self, work: Callable[[], Awaitable[None]]) -> None:
        """Run what handles input: whatever goes wrong ends this connection and nothing else."""
        try:
            await work()
        except Violation:
            self.end("parse error", status=_PROTOCOL_ERROR)
        except Exception:  # noqa: BLE001 - the edge: a fault of ours, logged once
            _log.exception("connection_failed")
            self.end("server error", status=1011)

    # Long-polling, as python-engineio calls it

    def begin_polling(self, open_packet: Packet) -> Response:
        """Start the session; the response to its first request."""
        self.connected = True
        self._heartbeat.start()
        return payload_response(open_packet.text)

    async def handle_get_request(self, environ: Environ) -> Response | str:
        """A poll, or the WebSocket that opens or upgrades the session. Raises EngineIOError to refuse the poll."""
        if environ["asgi.scope"]["type"] == "websocket":
            await self._serve(environ)
            return ""
        if self._probing is not None:
            return payload_response(NOOP)
        if self._poll is not None:
            self.end("parse error")
            raise EngineIOError("two polls at once")
        if not self._outbox:
            self._poll = self._loop.create_future()
            try:
                await self._poll
            finally:
                self._poll = None
        return payload_response(self._outbox.take_payload() or NOOP)

    async def handle_post_request(self, environ: Environ) -> None:
        """Packets by POST. Raises EngineIOError when they are not."""
        body: bytes = await environ["wsgi.input"].read()
        if len(body) > self._options.frame_bytes:
            raise ContentTooLongError
        try:
            packets = [_unwrap(part) for part in body.decode().split(_SEPARATOR)]
        except (UnicodeDecodeError, Violation) as error:
            raise EngineIOError("not an Engine.IO payload") from error
        await self._guarded(lambda: self._hear_all(packets))

    async def _hear_all(self, packets: list[str | bytes]) -> None:
        for number, data in enumerate(packets, 1):
            await self._heard(data)
            if number % _SLICE == 0:
                await asyncio.sleep(0)

    async def close(self, reason: str = "transport error") -> None:
        """End the session (python-engineio calls this when it refuses a request)."""
        self.end("parse error" if reason == "server disconnect" else reason)

    # WebSocket

    async def open_websocket(self, environ: Environ, open_packet: Packet) -> None:
        """Start the session on WebSocket and serve it to its end."""
        self._outbox.push(open_packet)
        await self._serve(environ)

    async def _serve(self, environ: Environ) -> None:
        link: Link = environ["asgi.scope"]["extensions"][LINK]
        receive = environ["asgi.receive"]
        await environ["asgi.send"]({"type": "websocket.accept"})
        if self.connected and not await self._upgrade(link, receive):
            link.finish(b"", _PROTOCOL_ERROR, "", self._options.close_within_seconds)
            return
        if self.closed:
            link.finish(b"", _NORMAL, "", self._options.close_within_seconds)
            return
        if not self.connected:
            self.connected = True
            self._heartbeat.start()
        self.upgraded = True
        self._link = link
        link.attach(self._wake, self._options.ahead_bytes)
        self._wake()
        await self._guarded(lambda: self._read(receive))
        self.end("transport close")

    async def _read(self, receive: Callable[[], Awaitable[dict[str, Any]]]) -> None:
        heard = 0
        while not self.closed and (data := await _next(receive)) is not None:
            await self._heard(data)
            heard += 1
            if heard % _SLICE == 0:
                await asyncio.sleep(0)

    async def _upgrade(self, link: Link, receive: Callable[[], Awaitable[dict[str, Any]]]) -> bool:
        """The probe that moves a polling session to WebSocket; what is sent meanwhile waits for its end."""
        if self._probing is not None or self.closed:
            return False
        self._probing = link
        try:
            async with asyncio.timeout(self._options.upgrade_within_seconds):
                if await _next(receive) != "2probe":
                    return False
                link.write(PROBE_ANSWER.frame)
                if self._poll is not None and not self._poll.done():
                    self._poll.set_result(None)
                return await _next(receive) == "5" and not self.closed
        except TimeoutError:
            return False
        finally:
            self._probing = None


async def _next(receive: Callable[[], Awaitable[dict[str, Any]]]) -> str | bytes | None:
    """The next message, or None at the end."""
    event = await receive()
    if event["type"] != "websocket.receive":
        return None
    text: str | None = event.get("text")
    data: bytes | None = event.get("bytes")
    return text if text is not None else data


def _unwrap(part: str) -> str | bytes:
    """A packet of a payload: binary ones are in base64 after a `b`. Raises Violation."""
    if part[:1] in _KINDS:
        return part
    if part[:1] != "b":
        raise Violation("not an Engine.IO packet")
    try:
        return base64.b64decode(part[1:], validate=True)
    except (binascii.Error, ValueError) as error:
        raise Violation("not base64") from error


def payload_response(payload: str) -> Response:
    """A long-polling response, in the form in which python-engineio sends it."""
    headers = [("Content-Type", "text/plain; charset=UTF-8"), ("Cache-Control", "no-store")]
    return {"status": "200 OK", "headers": headers, "response": payload.encode()}
