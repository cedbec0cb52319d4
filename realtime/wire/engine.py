"""Engine.IO 4 at one path: its sessions, who is let in, heartbeats, upgrades.

WebSockets come from `link`, long-polling requests from `polling`. Everything is checked here once for both: protocol
version, transport, origin, how many are inside.
"""

import asyncio
import secrets
import socket
from collections.abc import Callable, Collection, Mapping, Sequence

import structlog
from uvicorn.middleware.proxy_headers import _TrustedHosts
from websockets.exceptions import InvalidHeader, NegotiationError
from websockets.extensions import Extension
from websockets.extensions.permessage_deflate import ServerPerMessageDeflateFactory
from websockets.headers import build_extension, parse_extension

from domain.kit.tasks import TaskOwner
from realtime.wire.connection import PING, Connection, Listener, Upgrade
from realtime.wire.deadlines import Deadlines
from realtime.wire.doors import Doors
from realtime.wire.frames import FrameReader
from realtime.wire.handshake import (
    Request,
    bad_request,
    forbidden,
    unknown_session,
    unknown_transport,
    unsupported_version,
)
from realtime.wire.link import Link
from realtime.wire.options import WireOptions
from realtime.wire.origins import Origins
from realtime.wire.packets import Format, encode_json, engine_packet
from realtime.wire.unsent import keep_little_unsent

_log = structlog.get_logger(__name__)

_VERSION = "4"
_NORMAL = 1000
_CONNECTS = 4
"""A stranger's message may be so many times as large as the `auth` of a CONNECT: so what is too large is told so."""
_SID_BYTES = 15
_TOO_SLOW = "too_slow"
_LOOKS = 4
"""How often a session with something durable that waits is looked at, in the time for which it may."""


class Engine:
    """The sessions of one path. `listen` makes the listener of each new one."""

    def __init__(
        self, options: WireOptions, listen: Callable[[Connection], Listener], *, path: str = "/socket.io/"
    ) -> None:
        self.options = options
        self.path = path
        self.doors = Doors(options)
        self.sessions: dict[str, Connection] = {}
        self.tasks = TaskOwner("wire")
        self.too_slow: Callable[[Connection], None] = lambda connection: connection.end(_TOO_SLOW)
        """What becomes of a session for which too much waits, or something durable for too long."""
        self.keeps_requests: Callable[[], bool] = lambda: False
        """Whether new sessions remember the request that opened them, which costs some memory each."""
        self.counted: Callable[[Link], None] | None = None
        """Has what is written to WebSockets counted, where somebody wants to know."""
        self._strangers_bytes = min(options.frame_bytes, _CONNECTS * options.auth_bytes)
        self._holding: list[Connection] = []
        self._unsent_is_set = False
        """Whether connections have inherited how little the kernel keeps of them."""
        self._listen = listen
        self._origins = Origins(options.allowed_origins)
        self._proxies = _TrustedHosts(options.trusted_proxies)
        self._pings = Deadlines[Connection](options.ping_interval_seconds, self._ping)
        self._pongs = Deadlines[Connection](options.ping_timeout_seconds, lambda silent: silent.end("ping timeout"))
        self._waits = Deadlines[Connection](options.queue_seconds / _LOOKS, self._look_at_wait)
        self._upgrades = Deadlines[Connection](options.upgrade_within_seconds, self._give_upgrade_up)
        self._openings: dict[bool, tuple[str, str]] = {
            polling: self._opening(polling=polling) for polling in (False, True)
        }

    def now(self) -> float:
        """Seconds, by the event loop's clock."""
        return asyncio.get_running_loop().time()

    def waiting(self) -> tuple[int, int]:
        """How many sessions have something that waits, and how many bytes that is."""
        waiting = [size for connection in self.sessions.values() if (size := connection.unsent)]
        return len(waiting), sum(waiting)

    def listens(self, sockets: Collection[socket.socket]) -> None:
        """All connections will come in at these sockets, which do not listen yet: what they inherit is said to them.

        Without it each connection is told by itself, which costs some microseconds.
        """
        told = [keep_little_unsent(each, self.options.ahead_bytes) for each in sockets]
        self._unsent_is_set = bool(told) and all(told)

    # Who comes in

    def allows(self, request: Request, scheme: str) -> bool:
        """Whether the page that asks, if it is one, may."""
        return self._origins.allows(request.headers, scheme)

    def check(self, request: Request, scheme: str) -> Connection | None:
        """The session that the request names, None for a new one. Raises Refusal."""
        if not self.allows(request, scheme):
            raise forbidden("this origin is not allowed: see allowed_origins")
        transport = request.query.get("transport")
        if transport not in ("polling", "websocket"):
            raise unknown_transport()
        sid = request.query.get("sid")
        if sid is None:
            if request.query.get("EIO") != _VERSION:
                raise unsupported_version()
            return None
        connection = self.sessions.get(sid)
        if connection is None:
            raise unknown_session()
        return connection

    def begin(self, address: str, request: Request) -> Connection:
        """A new session. Raises Refusal when there is no room."""
        if (away := self.doors.refusal(address)) is not None:
            _log.info("connection_refused", status=int(away.status), reason=away.reason)
            raise away.answer()
        connection = Connection(self, self._new_sid(), address)
        self.sessions[connection.sid] = connection
        self.doors.enter(address)
        connection.request = request if self.keeps_requests() else None
        connection.listener = self._listen(connection)
        self._pings.start(connection)
        return connection

    def most_bytes(self, connection: Connection) -> int:
        """Of one message or body: a CONNECT is small, and strangers are many."""
        return self.options.frame_bytes if connection.signed_in else self._strangers_bytes

    def opening(self, connection: Connection, *, polling: bool) -> str:
        """The first packet of a session."""
        head, tail = self._openings[polling]
        return f"{head}{connection.sid}{tail}"

    def address(self, peer: str, headers: Mapping[str, str]) -> str:
        """Where a client is: what a trusted proxy says, else the peer's own address."""
        forwarded = headers.get("x-forwarded-for")
        if forwarded and peer in self._proxies:
            return self._proxies.get_trusted_client_address(forwarded)[0] or peer
        return peer

    def open_websocket(self, link: Link, request: Request, answer: Callable[[str | None], bytes]) -> None:
        """A WebSocket that begins a session, or moves one. Raises Refusal."""
        if self.counted is not None:
            self.counted(link)
        secure = link.transport.get_extra_info("sslcontext") is not None
        connection = self.check(request, "https" if secure else "http")
        if request.query["transport"] != "websocket":
            raise bad_request()
        extensions, negotiated = self._compression(request)
        if connection is not None:
            reader = FrameReader(self.most_bytes(connection), extensions)
            self._try_upgrade(connection, link, answer(negotiated), reader)
            return
        connection = self.begin(self.address(link.address, request.headers), request)
        reader = FrameReader(self.most_bytes(connection), extensions)
        opening = engine_packet(self.opening(connection, polling=False)).frames(Format.JSON)
        link.open(connection, answer(negotiated) + opening, reader, self.options, unsent_is_set=self._unsent_is_set)
        connection.begin_websocket(link)

    def _try_upgrade(self, connection: Connection, link: Link, answer: bytes, reader: FrameReader) -> None:
        upgrade = Upgrade(self, connection, link)
        link.open(upgrade, answer, reader, self.options, unsent_is_set=self._unsent_is_set)
        if connection.on_websocket or connection.upgrade is not None:
            upgrade.give_up(link)  # as Node's server does it: clients take a refused request for something worse
            return
        connection.upgrade = upgrade
        self._upgrades.start(connection)

    def _compression(self, request: Request) -> tuple[Sequence[Extension], str | None]:
        """What of permessage-deflate (RFC 7692) was asked for and is allowed: messages in, each compressed for itself.

        We write what we send as it is: compressing costs more than the radio gains with packets of some hundred bytes.
        """
        offered = request.headers.get("sec-websocket-extensions")
        if not offered or not self.options.compression:
            return (), None
        try:
            offers = parse_extension(offered)
        except InvalidHeader as fault:
            raise bad_request() from fault
        for name, parameters in offers:
            if name == _DEFLATE.name:
                try:
                    accepted, extension = _DEFLATE.process_request_params(parameters, [])
                except NegotiationError:
                    continue
                return (extension,), build_extension([(name, accepted)])
        return (), None

    def _new_sid(self) -> str:
        """An id that says whose it is: the requests of long-polling have to come back to this node."""
        token = secrets.token_urlsafe(_SID_BYTES)
        return f"{self.options.node_name}.{token}" if self.options.node_name else token

    def _opening(self, *, polling: bool) -> tuple[str, str]:
        rest = encode_json(
            {
                "upgrades": ["websocket"] if polling else [],
                "pingInterval": round(self.options.ping_interval_seconds * 1000),
                "pingTimeout": round(self.options.ping_timeout_seconds * 1000),
                "maxPayload": self.options.frame_bytes,
            }
        )
        return '0{"sid":"', '",' + rest[1:]

    # Heartbeats, upgrades, queues

    def _ping(self, connection: Connection) -> None:
        self._pongs.start(connection)
        connection.send(PING)

    def answered(self, connection: Connection) -> None:
        """A PONG; an answer to nothing changes nothing."""
        if connection in self._pongs:
            self._pongs.stop(connection)
            self._pings.start(connection)

    def holding(self, connection: Connection) -> None:
        """It has something to write at the end of this turn of the loop."""
        if not self._holding:
            asyncio.get_running_loop().call_soon(self._release)
        self._holding.append(connection)

    def _release(self) -> None:
        holding, self._holding = self._holding, []
        for connection in holding:
            connection.release()

    def kept(self, connection: Connection) -> None:
        """Something durable waits."""
        if connection not in self._waits:
            self._waits.start(connection)

    def drained(self, connection: Connection) -> None:
        """Nothing waits any more."""
        self._waits.stop(connection)

    def _look_at_wait(self, connection: Connection) -> None:
        if connection.waits_too_long():
            self.too_slow(connection)
        elif connection.backlog():
            self._waits.start(connection)

    def upgraded(self, connection: Connection, link: Link) -> None:
        """The session is on WebSocket from now on."""
        self.upgrade_ended(connection)
        connection.begin_websocket(link)

    def upgrade_ended(self, connection: Connection) -> None:
        """The attempt is over, well or not."""
        connection.upgrade = None
        self._upgrades.stop(connection)

    def _give_upgrade_up(self, connection: Connection) -> None:
        if connection.upgrade is not None:
            connection.upgrade.give_up(connection.upgrade.link, _NORMAL)

    def signed_in(self, connection: Connection) -> None:
        """It has said who it is."""
        connection.signed_in = True
        connection.allow(self.options.frame_bytes)
        self.doors.signed_in()

    def signed_out(self, connection: Connection) -> None:
        """It is nobody again."""
        connection.signed_in = False
        self.doors.signed_out()

    # Who goes

    def ending(self, connection: Connection, reason: str) -> None:
        """A session takes no more requests; its listener hears of it from a clean stack."""
        self.sessions.pop(connection.sid, None)
        for timers in (self._pings, self._pongs, self._waits, self._upgrades):
            timers.stop(connection)
        asyncio.get_running_loop().call_soon(self._ended, connection, reason)

    def _ended(self, connection: Connection, reason: str) -> None:
        self.doors.leave(connection.address, authenticated=connection.signed_in)
        connection.listener.ended(reason)
        # They know each other; apart, all of it is freed right now and not when the garbage collector comes by.
        connection.taker = None
        del connection.listener


_DEFLATE = ServerPerMessageDeflateFactory(server_no_context_takeover=True, client_no_context_takeover=True)
