"""The wire as one ASGI application: Socket.IO 5 over Engine.IO 4, for namespace `/`, in front of one endpoint.

A python-socketio server whose Engine.IO server and packet path are ours (see `engine`, `connection`, `peer`). What is
promised to the layers above is in `interface`. Serve it with the uvicorn settings of `uvicorn_options`.
"""

import logging
from typing import Any

import socketio

from realtime.wire.connection import Connection
from realtime.wire.engine import EngineServer
from realtime.wire.interface import STOPPING, Endpoint
from realtime.wire.link import Link
from realtime.wire.options import WireOptions
from realtime.wire.peer import Peer
from realtime.wire.socket import farewell


class Wire(socketio.AsyncServer):  # type: ignore[misc]  # the library is not typed
    """The Socket.IO server; `wire.app(other)` is the ASGI application."""

    def __init__(self, endpoint: Endpoint, options: WireOptions) -> None:
        origins = options.allowed_origins
        super().__init__(
            async_mode="asgi",
            monitor_clients=False,
            logger=logging.getLogger(__name__),
            engineio_logger=logging.getLogger(__name__),
            cors_allowed_origins=list(origins) if origins is not None else None,
            cors_credentials=False,
            max_http_buffer_size=options.frame_bytes,
            ping_interval=options.ping_interval_seconds,
            ping_timeout=options.ping_timeout_seconds,
        )
        self._endpoint = endpoint
        self._options = options
        self._peers: dict[str, Peer] = {}
        self.eio.prepare(self, options)

    def _engineio_server_class(self) -> type[EngineServer]:
        return EngineServer

    def app(self, other: object = None, path: str = "socket.io") -> socketio.ASGIApp:
        """The ASGI application: Socket.IO under `path`, everything else (lifespan too) goes to `other`."""
        return socketio.ASGIApp(self, other, socketio_path=path)

    @property
    def connections(self) -> int:
        """Engine.IO connections open, signed in or not."""
        return int(self.eio.doors.open)

    def stop(self) -> None:
        """Let nobody in any more, and close every connection: clients are told to reconnect to another server.

        Call it before uvicorn begins to shut down, which waits for requests under way (long-polling among them).
        """
        self.eio.doors.shut = True
        for sid, connection in list(self.eio.sockets.items()):
            last = farewell(STOPPING) if self._peers[sid].authenticated else ()
            connection.end(STOPPING.code, last, STOPPING.status)

    # What connections tell

    def began(self, connection: Connection) -> None:
        """A connection was let in."""
        self._peers[connection.sid] = Peer(connection, self._endpoint, self.eio.doors, self._options)

    async def message(self, connection: Connection, data: str | bytes) -> None:
        """A connection heard something."""
        await self._peers[connection.sid].message(data)

    def ending(self, connection: Connection) -> None:
        """A connection takes no more requests."""
        self.eio.refuse_requests(connection)

    def ended(self, connection: Connection, reason: str) -> None:
        """A connection is over."""
        peer = self._peers.pop(connection.sid)
        self.eio.forget(connection, authenticated=peer.authenticated)
        peer.ended(reason)


def uvicorn_options(options: WireOptions) -> dict[str, Any]:
    """The arguments of `uvicorn.Config` that the wire needs: its transport, its limit, and no second heartbeat."""
    return {
        "ws": Link,
        "ws_max_size": options.frame_bytes,
        "ws_ping_interval": None,
        "ws_ping_timeout": None,
        "ws_per_message_deflate": False,
    }
