"""Socket.IO's admin UI (`@socket.io/admin-ui`), as python-socketio's `instrument()` offers it, over our wire.

The library's own patches a packet path that is not in use here. Of clients the UI is shown ids, transports, rooms,
network addresses and a few harmless headers, in development mode; in production mode sums alone. What clients say and
hear is never shown: it has tokens and places in it. A node tells the admins of all nodes what happens on it.
"""

import asyncio
import contextlib
import itertools
import os
import platform
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from hashlib import blake2s
from typing import TYPE_CHECKING, Any, Final, Literal

from domain.kit.errors import Unavailable
from domain.kit.tasks import TaskOwner
from realtime.wire.admin_endpoint import AdminEndpoint, Auth
from realtime.wire.admin_watch import CountedListener, CountedTaker, CountedTransport, Traffic, WatchedEndpoint
from realtime.wire.connection import Connection, Listener
from realtime.wire.emitting import Audience
from realtime.wire.interface import DISMISSED, Endpoint, Socket
from realtime.wire.link import Link
from realtime.wire.packets import Packet, encode_event
from realtime.wire.rooms import node_of

if TYPE_CHECKING:
    from realtime.wire.peer import Peer
    from realtime.wire.server import Wire

Mode = Literal["development", "production"]

_ACTING = ("EMIT", "JOIN", "LEAVE", "DISCONNECT", "MJOIN", "MLEAVE", "MDISCONNECT")
_HEADERS: Final = ("host", "origin", "user-agent")
_PARAMETERS: Final = ("EIO", "transport")
"""What is shown of a request; whatever else is in it may be a secret."""
_MOST_UNTOLD = 10_000
"""Things that wait to be told; of more the oldest are left out."""
_ID_CHARACTERS = 12
_AGAIN_SECONDS = 25.0
_MOST_AGAIN = 1_000
"""How often, and of how many sockets, the admins of other nodes are told again: they may have come since."""


class Admin:
    """What `Wire.instrument` makes. It begins with the first connection, and ends with the wire's `shutdown`."""

    def __init__(
        self,
        wire: "Wire",
        auth: Auth | None,
        *,
        mode: Mode = "development",
        read_only: bool = False,
        server_id: str | None = None,
        namespace: str = "/admin",
        stats_seconds: float = 2.0,
    ) -> None:
        """Raises ValueError when nothing is said of who may come in, or the mode is none."""
        if auth is None or auth is True:
            raise ValueError("auth must be specified; False lets everybody in")
        if mode not in ("development", "production"):
            raise ValueError("mode is development or production")
        self._wire = wire
        self._namespace = namespace
        self._all = mode == "development"
        self._features = ["AGGREGATED_EVENTS", *(() if read_only else _ACTING), *(["ALL_EVENTS"] if self._all else [])]
        self._server_id = server_id or platform.node()
        self._stats_seconds = stats_seconds
        self._began = time.monotonic()
        self._traffic = Traffic()
        self._untold: deque[Packet] = deque(maxlen=_MOST_UNTOLD)
        self._news = asyncio.Event()
        self._since: dict[str, float] = {}
        """When each socket came."""
        self._polling: list[Socket] = []
        """Those that may move to WebSocket yet."""
        self._tasks = TaskOwner("admin")
        self._runs = False
        actions = None if read_only else _Doing(wire)
        wire.serve(
            AdminEndpoint(auth, lambda: wire.emitter.rooms(namespace), actions, self._tasks, self._greet), namespace
        )
        wire.engine.counted = self._count_link
        if self._all:
            wire.engine.keeps_requests = lambda: True
            wire.emitter.watch(self._moved)

    async def shutdown(self) -> None:
        """Tell nothing any more."""
        self._runs = True
        await self._tasks.close()

    # What the wire calls

    def listener(self, connection: Connection, peer: "Peer") -> Listener:
        """Who hears a new connection."""
        if not self._runs:
            self._runs = True
            self._tasks.start(self._run(), "news")
        connection.taker = CountedTaker(peer, self._traffic)
        return CountedListener(peer, self._traffic)

    def watch(self, namespace: str, endpoint: Endpoint) -> Endpoint:
        """Who has the clients of a namespace, with what admins want to know of them."""
        if not self._all or namespace == self._namespace:
            return endpoint
        rooms = self._wire.emitter.rooms(namespace)
        return WatchedEndpoint(endpoint, rooms, came=self._came, went=self._went)

    def _count_link(self, link: Link) -> None:
        link.transport = CountedTransport(link.transport, self._traffic)  # type: ignore[assignment]  # but for its class

    # What happens

    def _greet(self, admin: Socket) -> None:
        admin.send(self._packet("config", {"supportedFeatures": self._features}))
        if self._all:
            admin.send(self._packet("all_sockets", [self._described(socket) for socket in self._wire.sockets()]))
        admin.send(self._packet("server_stats", self._stats(taking=False)))

    def _came(self, socket: Socket) -> None:
        self._since[socket.sid] = time.time()
        self._tell("socket_connected", self._described(socket), _now())
        if self._wire.transport_of(socket) == "polling":
            self._polling.append(socket)

    def _look_for_upgrades(self) -> None:
        polling, self._polling = self._polling, []
        for socket in polling:
            if socket.closed:
                continue
            if (transport := self._wire.transport_of(socket)) == "polling":
                self._polling.append(socket)
            else:
                self._tell("socket_updated", {"id": socket.sid, "nsp": socket.namespace, "transport": transport})

    def _went(self, socket: Socket, reason: str) -> None:
        self._since.pop(socket.sid, None)
        self._tell("room_left", socket.namespace, socket.sid, socket.sid, _now())
        self._tell("socket_disconnected", socket.namespace, socket.sid, reason, _now())

    def _moved(self, namespace: str, room: str, sid: str, *, entered: bool) -> None:
        if namespace != self._namespace:
            self._tell("room_joined" if entered else "room_left", namespace, room, sid, _now())

    def _tell(self, event: str, *values: object) -> None:
        self._untold.append(self._packet(event, *values))
        self._news.set()

    def _packet(self, event: str, *values: object) -> Packet:
        return encode_event(event, *values, namespace=self._namespace)

    # Telling it

    async def _run(self) -> None:
        due, again_at = 0.0, time.monotonic() + _AGAIN_SECONDS
        while True:
            self._news.clear()
            while self._untold:
                await self._emit(self._untold.popleft())
            now = time.monotonic()
            if now >= due:
                due = now + self._stats_seconds
                self._look_for_upgrades()
                await self._emit(self._packet("server_stats", self._stats(taking=True)))
            if now >= again_at:
                again_at = now + _AGAIN_SECONDS
                await self._tell_others_again()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(due - now):
                    await self._news.wait()

    async def _tell_others_again(self) -> None:
        if not self._all:
            return
        admins = [admin.sid for admin in self._wire.emitter.rooms(self._namespace).sockets()]
        for socket in list(itertools.islice(self._wire.sockets(), _MOST_AGAIN)):
            if not socket.closed and socket.namespace != self._namespace:
                packet = self._packet("socket_connected", self._described(socket), _now())
                await self._emit(packet, but=admins)

    async def _emit(self, packet: Packet, but: Sequence[str] = ()) -> None:
        with contextlib.suppress(Unavailable):  # the admins here have it
            await self._wire.emitter.emit(Audience(self._namespace, but=but), packet)

    def _stats(self, *, taking: bool) -> dict[str, object]:
        """The sums; `taking` what was counted lately, which is for all admins together."""
        sessions = self._wire.engine.sessions.values()
        sockets = Counter(socket.namespace for socket in self._wire.sockets())
        return {
            "serverId": self._server_id,
            "hostname": platform.node(),
            "pid": os.getpid(),
            "uptime": time.monotonic() - self._began,
            "clientsCount": len(sessions),
            "pollingClientsCount": sum(not connection.on_websocket for connection in sessions),
            "aggregatedEvents": self._traffic.take() if taking else [],
            "namespaces": [{"name": name, "socketsCount": number} for name, number in sorted(sockets.items())],
        }

    def _described(self, socket: Socket) -> dict[str, Any]:
        """What is shown of one socket. The id of its session is a key to it, and is not shown."""
        request = self._wire.seen_request_of(socket)
        came = self._since.get(socket.sid, time.time())
        headers = {name: request.headers[name] for name in _HEADERS if request and name in request.headers}
        query = {name: request.query[name] for name in _PARAMETERS if request and name in request.query}
        session = self._wire.session_of(socket)
        return {
            "id": socket.sid,
            "clientId": blake2s(session.encode()).hexdigest()[:_ID_CHARACTERS],
            "transport": self._wire.transport_of(socket),
            "nsp": socket.namespace,
            "data": {"connection": blake2s(socket.sid.encode(), digest_size=16).hexdigest()},
            "handshake": {
                "address": socket.address,
                "headers": headers,
                "query": query,
                "secure": request is not None and request.headers.get("x-forwarded-proto") == "https",
                "url": request.path if request else "",
                "issued": round(came * 1000),
                "time": datetime.fromtimestamp(came, UTC).isoformat(),
                "xdomain": "origin" in headers,
            },
            "rooms": self._wire.emitter.rooms(socket.namespace).rooms_of(socket.sid) or [socket.sid],
        }


class _Doing:
    """Implements `admin_endpoint.Actions`."""

    def __init__(self, wire: "Wire") -> None:
        self._wire = wire

    async def emit(self, namespace: str, to: str | None, event: str, *values: object) -> None:
        await self._wire.emit(event, values, to=to, namespace=namespace)

    async def join(self, namespace: str, room: str, to: str | None) -> None:
        await self._each(namespace, to, lambda sid: self._wire.enter_room(sid, room, namespace=namespace))

    async def leave(self, namespace: str, room: str, to: str | None) -> None:
        await self._each(namespace, to, lambda sid: self._wire.leave_room(sid, room, namespace=namespace))

    async def disconnect(self, namespace: str, to: str | None, *, close: bool) -> None:
        rooms = self._wire.emitter.rooms(namespace)
        if close:
            for socket in list(rooms.sockets(None if to is None else (to,))):
                socket.close(DISMISSED)
        await self._each(namespace, to, lambda sid: self._wire.disconnect(sid, namespace=namespace))

    async def _each(self, namespace: str, to: str | None, move: Callable[[str], Any]) -> None:
        """Those here that are meant, or the one of another node that is named."""
        rooms = self._wire.emitter.rooms(namespace)
        sids = [socket.sid for socket in rooms.sockets(None if to is None else (to,)) if not socket.closed]
        if to is not None and to not in rooms and node_of(to) is not None:
            sids.append(to)
        for sid in sids:
            await move(sid)


def _now() -> str:
    return datetime.now(UTC).isoformat()
