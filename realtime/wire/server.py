"""The wire: Socket.IO 5 over Engine.IO 4, in front of one endpoint for each namespace.

A python-socketio server whose Engine.IO, packets, rooms and sending are ours (see `engine`, `peer`, `rooms`): its
handlers, namespaces and emits work as documented, for namespaces without an endpoint of their own. What is promised to
the layers above is in `interface`. Serve it with `serve`, or with the uvicorn settings of
`uvicorn_options`, without which its WebSockets would come in as ASGI and are refused.
"""

import functools
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import uvicorn

from realtime.wire import foreign_options
from realtime.wire.admin import Admin, Mode
from realtime.wire.admin_endpoint import Auth
from realtime.wire.api import SocketioApi
from realtime.wire.application import Application, EngineFacade
from realtime.wire.connection import Connection, Listener
from realtime.wire.deadlines import Deadlines
from realtime.wire.emitting import OtherNodes
from realtime.wire.engine import Engine
from realtime.wire.entrance import entrance
from realtime.wire.handover import Siblings, shared_http
from realtime.wire.handshake import Request
from realtime.wire.http import Bounds, bounded_http
from realtime.wire.interface import Endpoint, Socket
from realtime.wire.link import Link
from realtime.wire.options import WireOptions
from realtime.wire.peer import Peer
from realtime.wire.quiet_server import QuietServer
from realtime.wire.socket import WireSocket

_MOST_ACK_ID = 2**30
"""Java's client keeps ids in 31 bits; the upper half is for questions across nodes."""


class Wire(SocketioApi):
    """The Socket.IO server; `wire.app(other)` is the ASGI application."""

    def __init__(
        self,
        options: WireOptions,
        endpoint: Endpoint | None = None,
        *,
        nodes: OtherNodes | None = None,
        namespaces: Sequence[str] | str | None = None,
        **others: object,
    ) -> None:
        """`endpoint` is that of namespace `/`; `nodes` and `namespaces` are for `SocketioApi`.

        Raises TypeError for any other option, and says which of `options` to use instead.
        """
        foreign_options.refuse(others)
        self.options = options
        self._ack_id = 0
        self._admin: Admin | None = None
        self._peers: dict[Connection, Peer] = {}
        self._endpoints: dict[str, Endpoint] = {}
        self.engine = Engine(options, self._listen)
        self.engine.too_slow = lambda connection: self._peers[connection].too_slow()
        self._connects = Deadlines[Peer](options.connect_within_seconds, lambda peer: peer.silent())
        super().__init__(
            nodes,
            namespaces=namespaces,
            async_mode="asgi",
            monitor_clients=False,
            logger=logging.getLogger(__name__),
            engineio_logger=logging.getLogger(__name__),
            ping_interval=options.ping_interval_seconds,
            ping_timeout=options.ping_timeout_seconds,
        )
        self.engine.tasks = self.tasks  # what a CONNECT has begun ends as what handlers have: with `shutdown`
        self.engine.keeps_requests = lambda: bool(self.handlers or self.namespace_handlers)
        self.eio.engine = self.engine
        if endpoint is not None:
            self.serve(endpoint)

    def _engineio_server_class(self) -> type[EngineFacade]:
        return EngineFacade

    def serve(self, endpoint: Endpoint, namespace: str = "/") -> None:
        """Let `endpoint` have the clients of a namespace."""
        self._endpoints[namespace] = endpoint

    def app(self, other: object = None, path: str = "socket.io") -> Application:
        """The ASGI application: Socket.IO under `path`, everything else (lifespan too) goes to `other`."""
        self.engine.path = f"/{path.strip('/')}/"
        return Application(self, other, socketio_path=path)

    @property
    def connections(self) -> int:
        """Engine.IO connections open, signed in or not."""
        return self.engine.doors.open

    def instrument(
        self,
        auth: Auth | None = None,
        mode: Mode = "development",
        read_only: bool = False,
        server_id: str | None = None,
        namespace: str = "/admin",
        server_stats_interval: float = 2,
    ) -> Admin:
        """Let Socket.IO's admin UI look in; for a server that does not serve yet. See `admin`, and python-socketio.

        Raises ValueError without `auth`.
        """
        self._admin = Admin(
            self,
            auth,
            mode=mode,
            read_only=read_only,
            server_id=server_id,
            namespace=namespace,
            stats_seconds=server_stats_interval,
        )
        return self._admin

    async def shutdown(self) -> None:
        """See `SocketioApi`."""
        if self._admin is not None:
            await self._admin.shutdown()
        await super().shutdown()

    def next_ack_id(self) -> int:
        """An id for a packet that wants to be answered; each is somebody else's for a very long time."""
        self._ack_id = (self._ack_id + 1) % _MOST_ACK_ID
        return self._ack_id

    def close_doors(self) -> None:
        """Let nobody in any more: new connections are told to try another server. Whoever is inside stays."""
        self.engine.doors.shut = True

    def stop(self) -> None:
        """Let nobody in any more, and close every connection: clients are told to reconnect to another server.

        Call it before uvicorn begins to shut down, which waits for requests under way (long-polling among them).
        """
        self.close_doors()
        for peer in list(self._peers.values()):
            peer.stop()

    def request_of(self, socket: Socket) -> dict[str, Any]:
        """The request that opened a socket's connection, as python-socketio's handlers know it."""
        return _connection(socket).environ()

    def transport_of(self, socket: Socket) -> str:
        """`websocket` or `polling`."""
        return "websocket" if _connection(socket).on_websocket else "polling"

    # What admins are shown

    def sockets(self) -> Iterator[Socket]:
        """Every open socket, in no order."""
        for peer in self._peers.values():
            yield from peer.sockets()

    def session_of(self, socket: Socket) -> str:
        """The id of its Engine.IO session, which whoever has it may go on with."""
        return _connection(socket).sid

    def seen_request_of(self, socket: Socket) -> Request | None:
        """The request that opened its connection, if it was kept."""
        return _connection(socket).request

    # What peers call

    def endpoint_of(self, namespace: str) -> Endpoint | None:
        """Who has the clients of a namespace; None when it does not exist."""
        endpoint = self._endpoints.get(namespace)
        if endpoint is None:
            endpoint = self.handler_endpoint(namespace)  # one may count nobody yet
        return endpoint if self._admin is None or endpoint is None else self._admin.watch(namespace, endpoint)

    def signed_in(self, peer: Peer, connection: Connection) -> None:
        """A connection has its first socket."""
        self._connects.stop(peer)
        self.engine.signed_in(connection)

    def signed_out(self, peer: Peer, connection: Connection) -> None:
        """A connection has no socket any more; it may CONNECT again."""
        if not connection.closed:
            self._connects.start(peer)
        self.engine.signed_out(connection)

    def _listen(self, connection: Connection) -> Listener:
        peer = self._peers[connection] = Peer(self, connection)
        self._connects.start(peer)
        return peer if self._admin is None else self._admin.listener(connection, peer)

    def peer_ended(self, peer: Peer, connection: Connection) -> None:
        """A connection is over."""
        self._connects.stop(peer)
        self._peers.pop(connection, None)


def _connection(socket: Socket) -> Connection:
    assert isinstance(socket, WireSocket)  # noqa: S101 - the only kind there is
    return socket.connection


def uvicorn_options(*engines: Engine, siblings: Siblings | None = None) -> dict[str, Any]:
    """The arguments of `uvicorn.Config` with which WebSockets at the engines' paths are theirs, and heads end.

    `siblings` are other processes that serve the same paths at the same port: see `realtime.wire.handover`.
    """
    bounds = Bounds([engine.options for engine in engines])
    paths = {engine.path: engine for engine in engines}
    http = bounded_http(bounds) if siblings is None else shared_http(bounds, siblings, paths)
    return {
        "ws": functools.partial(Link, paths),
        "http": entrance(bounds, http, paths),
        "ws_max_size": max(engine.options.frame_bytes for engine in engines),
        "ws_ping_interval": None,
        "ws_ping_timeout": None,
        "ws_per_message_deflate": False,
    }


class WireServer(QuietServer):
    """uvicorn, stopping the wire first: it would wait for whoever long-polls."""

    def __init__(self, config: uvicorn.Config, wire: Wire) -> None:
        super().__init__(config)
        self._wire = wire

    async def startup(self, sockets: Any = None) -> None:
        """Open the port."""
        self._wire.engine.listens(sockets or ())
        await super().startup(sockets)

    async def shutdown(self, sockets: Any = None) -> None:
        """Send the clients away, let uvicorn end, then what handlers have begun."""
        self._wire.stop()
        await super().shutdown(sockets)
        await self._wire.shutdown()


async def serve(
    wire: Wire, other: object = None, *, host: str, port: int, path: str = "socket.io", **config: Any
) -> None:
    """Serve the wire under `path` and `other`, an ASGI application, elsewhere, until SIGTERM or Ctrl-C.

    `config` is for `uvicorn.Config`. Signals are uvicorn's: once all has ended in good order it raises them again, so
    that Ctrl-C comes out of `asyncio.run` as KeyboardInterrupt. Raises SystemExit when the port cannot be had.
    """
    app = wire.app(other, path)
    settings = uvicorn.Config(app, host=host, port=port, **uvicorn_options(wire.engine), **config)
    await WireServer(settings, wire).serve()
