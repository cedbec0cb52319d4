"""One Engine.IO 4 session, over WebSocket, long-polling, or the one and then the other.

No task, no queue, no clock of its own: what arrives goes to its listener one message after another, what leaves is
written at once while the transport takes it and waits in three lanes when it does not.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, Protocol

import structlog

from realtime.wire.handshake import Request, wsgi_environ
from realtime.wire.link import Link, Taker
from realtime.wire.outbox import Outbox
from realtime.wire.packets import Format, Lane, Packet, engine_packet

if TYPE_CHECKING:
    from realtime.wire.engine import Engine

_log = structlog.get_logger(__name__)

CLOSE: Final = engine_packet("1")
PING: Final = engine_packet("2", Lane.SOS)  # behind a full queue it would come too late to be answered in time
NOOP: Final = engine_packet("6")
_PROBE_ANSWER = engine_packet("3probe").frames(Format.JSON)

_MOST_HELD = 256
"""Live packets that wait for the end of a turn; more leave earlier, so that their bounds are those of any other."""
_NORMAL = 1000
_PROTOCOL_ERROR = 1002
_SERVER_ERROR = 1011
_IGNORED = ("5", "6")
"""UPGRADE and NOOP mean something during an upgrade only."""


class Violation(Exception):
    """Not Engine.IO, or not Socket.IO: the connection is closed."""


class Listener(Protocol):
    """Who hears the messages of one session."""

    def message(self, data: str | bytes) -> Awaitable[None] | None:
        """A message; the next one waits until what is returned has ended. Raises Violation."""
        ...

    def ended(self, reason: str) -> None:
        """The session is over; called once, from a clean stack."""
        ...


class _Muted:
    """Stands in the place of a listener that wants to hear of the end only."""

    __slots__ = ("ended",)

    def __init__(self, ended: Callable[[str], None]) -> None:
        self.ended = ended

    def message(self, _data: str | bytes) -> None:
        """Nobody hears it, and nobody is told that it was heard."""


class Connection:
    """An Engine.IO session."""

    __slots__ = (
        "_engine",
        "_held",
        "_link",
        "_outbox",
        "address",
        "busy",
        "closed",
        "format",
        "listener",
        "poll",
        "posting",
        "request",
        "sid",
        "signed_in",
        "taker",
        "upgrade",
        "write",
    )

    def __init__(self, engine: "Engine", sid: str, address: str) -> None:
        self.sid = sid
        self.address = address
        self.closed = False
        self.format = Format.JSON
        """How packets are written to this client; its CONNECT decides."""
        self.listener: Listener
        self.taker: Taker | None = None
        """Who takes what it can of the WebSocket's text as it arrived, before it is read for the listener."""
        self.signed_in = False
        """Whether it has said who it is."""
        self.request: Request | None = None
        """The request that opened it, where somebody may ask for it."""
        self.upgrade: Upgrade | None = None
        """The attempt under way to move the session to WebSocket."""
        self.poll: asyncio.Future[None] | None = None
        """The poll that waits for something to say."""
        self.posting: asyncio.Future[None] | None = None
        """The POST that is being read or handled; done when the session ends meanwhile."""
        self.busy: asyncio.Task[None] | None = None
        """What the listener is doing with a message; the ones behind it wait."""
        self._engine = engine
        self._link: Link | None = None
        self._outbox: Outbox | None = None
        self._held: list[Packet] | None = None
        """What is live and was sent in this turn of the loop: it leaves in one write at its end."""
        self.write: Callable[[bytes], None] | None = None
        """Writes frames straight to the transport; None while that is full, polled, gone, or something is held."""

    # What leaves

    def send(self, packet: Packet, *, volatile: bool = False) -> None:
        """Write the packet, or keep it until the transport takes it, `volatile` ones not. Never waits nor raises."""
        if self._held is not None and packet.lane is Lane.LIVE and len(self._held) < _MOST_HELD:
            self._held.append(packet)
            return
        self.release()
        if self.write is not None:
            self.write(packet.frames(self.format))
        elif not self.closed and not (volatile and self.stalled):
            self._keep(packet)

    def hold(self, packet: Packet) -> None:
        """Send a live packet at the end of this turn, with those that follow it; asked for while `write` is set.

        A tick has a packet for each topic, and a listener many topics: each write would be a call of the kernel.
        """
        self._held = [packet]
        self.write = None
        self._engine.holding(self)

    def release(self) -> None:
        """Write what is held, as much as the transport takes; the rest waits as anything does."""
        held, self._held = self._held, None
        if held is None:
            return
        self._resume()
        frames: list[bytes] = []
        size = 0
        for packet in held:
            if self.write is not None:
                frames.append(packet.frames(self.format))
                size += len(frames[-1])
                if size >= self._engine.options.ahead_bytes:
                    self.write(b"".join(frames))
                    frames, size = [], 0
            elif not self.closed:  # what waits may become too much on the way
                self._keep(packet)
        if frames and self.write is not None:
            self.write(b"".join(frames))

    def _resume(self) -> None:
        """Write straight to the transport from now on, if it takes anything."""
        link = self._link
        self.write = link.transport.write if link is not None and not link.full and not self.closed else None

    @property
    def on_websocket(self) -> bool:
        """Whether the session is on WebSocket."""
        return self._link is not None

    @property
    def stalled(self) -> bool:
        """Whether what is sent now would have to wait."""
        return self.write is None and (self._link is not None or self.poll is None)

    @property
    def moving(self) -> bool:
        """Whether polls are answered at once, so that the client can leave polling for the WebSocket it has opened."""
        return self.upgrade is not None and self.upgrade.probed

    def backlog(self) -> int:
        """Packets that wait."""
        return len(self._outbox) if self._outbox is not None else 0

    @property
    def unsent(self) -> int:
        """Bytes that wait."""
        return self._outbox.bytes if self._outbox is not None else 0

    @property
    def overflowing(self) -> bool:
        """Whether more waits than may."""
        outbox, options = self._outbox, self._engine.options
        if outbox is None:
            return False
        return outbox.bytes > options.queue_bytes or len(outbox) > options.queue_packets

    def waits_too_long(self) -> bool:
        """Whether something durable has waited for longer than it may."""
        oldest = self._outbox.oldest if self._outbox is not None else None
        return oldest is not None and self._engine.now() - oldest >= self._engine.options.queue_seconds

    def _keep(self, packet: Packet) -> None:
        if self._outbox is None:
            self._outbox = Outbox()
        self._outbox.push(packet, packet.size(self.format), self._engine.now())
        if self.overflowing:
            self._engine.too_slow(self)
            return
        if packet.lane is Lane.DURABLE:
            self._engine.kept(self)
        self.wake()

    def wake(self) -> None:
        """Answer the poll that waits."""
        if self.poll is not None and not self.poll.done():
            self.poll.set_result(None)

    def take_payload(self) -> str:
        """What waits, as the answer to a poll."""
        if self._outbox is None:
            return ""
        payload = self._outbox.take_payload(self.format)
        self._outbox = None
        return payload

    def end(self, reason: str, last: Sequence[Packet] = (), status: int = _NORMAL) -> None:
        """Drop what waits, send `last` if it can be sent, and close the transport within a moment."""
        if self.closed:
            return
        self.closed = True
        self.write = None
        self._outbox = self._held = None
        if self.posting is not None:
            self.posting.set_result(None)
        within = self._engine.options.close_within_seconds
        upgrade, self.upgrade = self.upgrade, None
        if upgrade is not None:
            upgrade.link.finish(b"", _NORMAL, "", within)
        if self._link is not None:
            frames = b"".join(packet.frames(self.format) for packet in last)
            self._link.finish(frames, status, reason, within)
        else:
            # Official clients that read CLOSE in the same response do not look at `last`; their next poll is refused.
            self._outbox = Outbox()
            for packet in last or (CLOSE,):
                self._outbox.push(packet, 0, 0.0)
            self.wake()
        self._engine.ending(self, reason)

    # What arrives

    def hear(self, _link: Link | None, data: str | bytes) -> bool:
        """One Engine.IO packet; False when the next one has to wait until `busy` has ended."""
        if self.closed:
            return True
        try:
            rest = self.listener.message(data[1:]) if data[:1] == "4" else self._packet(data)
        except Violation:
            self.end("parse error", status=_PROTOCOL_ERROR)
        except Exception:  # noqa: BLE001 - the edge: a fault of ours ends this connection and nothing else
            _log.exception("connection_failed")
            self.end("server error", status=_SERVER_ERROR)
        else:
            if rest is not None:
                self.busy = self._engine.tasks.start(self._work(rest), "listener")
                return False
        return True

    def _packet(self, data: str | bytes) -> Awaitable[None] | None:
        if isinstance(data, bytes):
            return self.listener.message(data)
        kind = data[:1]
        if kind == "3":
            self._engine.answered(self)
        elif kind == "1":
            self._closed_by_peer()
        elif kind not in _IGNORED or not kind:
            raise Violation("not an Engine.IO packet")
        return None

    def _closed_by_peer(self) -> None:
        """The poll of a client that has said goodbye is answered with a NOOP."""
        self.end("transport close", () if self._link is not None else (NOOP,))

    async def _work(self, rest: Awaitable[None]) -> None:
        """See the listener's work to its end: whatever goes wrong ends this connection and nothing else."""
        try:
            await rest
        except Violation:
            self.end("parse error", status=_PROTOCOL_ERROR)
        except Exception:  # noqa: BLE001 - the edge
            _log.exception("connection_failed")
            self.end("server error", status=_SERVER_ERROR)
        finally:
            self.busy = None
            if self._link is not None:
                self._link.go_on()

    def mute(self) -> None:
        """Pass over the messages that come from now on; heartbeats and the end are heard as ever."""
        if not self.closed:
            self.taker = None
            self.listener = _Muted(self.listener.ended)

    # On WebSocket, as the link calls it

    def environ(self) -> dict[str, Any]:
        """The request that opened it, as WSGI writes it; empty when nobody said that it would be asked for."""
        return wsgi_environ(self.request, self.address) if self.request is not None else {}

    def now(self) -> float:
        """Seconds, by the event loop's clock."""
        return self._engine.now()

    def trust(self) -> None:
        """Take it for somebody who has said who they are."""
        self._engine.signed_in(self)

    def allow(self, most_bytes: int) -> None:
        """Hear larger messages from now on."""
        for link in (self._link, self.upgrade.link if self.upgrade is not None else None):
            if link is not None:
                link.allow(most_bytes)

    def begin_websocket(self, link: Link) -> None:
        """The session goes on over this link: what waits is written first."""
        self._link = link
        link.hand_over(self)
        if not link.full:
            self.writable(link)

    def lost(self, _link: Link, reason: str) -> None:
        """The link is gone."""
        self.end(reason)

    def full(self, _link: Link) -> None:
        """The transport is full: what is sent from now on waits."""
        self.write = None

    def writable(self, _link: Link) -> None:
        """The transport takes bytes: write what waits until it is full again."""
        self._resume()
        while self._outbox is not None and self.write is not None:
            self.write(self._outbox.take_frames(self.format, self._engine.options.ahead_bytes))
            if self._outbox is not None and not self._outbox:
                self._outbox = None
                self._engine.drained(self)
        self.release()


class Upgrade:
    """The probe that moves a polling session to WebSocket; what is sent meanwhile waits for its end."""

    __slots__ = ("_connection", "_engine", "link", "probed")
    taker: Final = None

    def __init__(self, engine: "Engine", connection: Connection, link: Link) -> None:
        self._engine = engine
        self._connection = connection
        self.link = link
        self.probed = False
        """Whether the client has asked over the link, and has its answer."""

    def hear(self, link: Link, data: str | bytes) -> bool:
        """`2probe`, and after our `3probe` the UPGRADE; anything else ends the attempt."""
        connection = self._connection
        if data == "2probe" and not self.probed:
            self.probed = True
            link.transport.write(_PROBE_ANSWER)
            connection.wake()
        elif data == "5" and self.probed and not connection.closed:
            self._engine.upgraded(connection, link)
            # What a poll or a POST has begun ends before the first message of the WebSocket is heard.
            return connection.busy is None
        else:
            self.give_up(link)
        return True

    def give_up(self, link: Link, status: int = _PROTOCOL_ERROR) -> None:
        """The session stays where it is."""
        self.lost(link, "")
        link.finish(b"", status, "", self._engine.options.close_within_seconds)

    def lost(self, _link: Link, _reason: str) -> None:
        """The link is gone."""
        if self._connection.upgrade is self:
            self._engine.upgrade_ended(self._connection)

    def full(self, link: Link) -> None:
        """Not with so few bytes."""

    def writable(self, link: Link) -> None:
        """Nothing waits for it."""
