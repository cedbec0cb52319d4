"""The Engine.IO server: python-engineio's request handling over our connections.

From the library come the checks of a request (origin, transport, version, session) and its answers. Ours are the
connections, who is let in, and that no body grows beyond its limit.
"""

from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

import engineio
import structlog

from realtime.wire.connection import Connection, Environ, Owner, Response
from realtime.wire.doors import Doors
from realtime.wire.options import WireOptions
from realtime.wire.packets import Packet, encode_json

_log = structlog.get_logger(__name__)

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_RETRY_AFTER_SECONDS = "5"


class EngineServer(engineio.AsyncServer):  # type: ignore[misc]  # the library is not typed
    """Made by python-socketio; `prepare` gives it what it needs before the first request."""

    sockets: dict[str, Connection]

    def prepare(self, owner: Owner, options: WireOptions) -> None:
        """Say whom connections belong to, and their bounds."""
        self._owner = owner
        self._options = options
        self.doors = Doors(options)

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> object:
        """Answer one request or serve one WebSocket."""
        if scope["type"] == "http":
            if b"j" in parse_qs(scope.get("query_string", b"")):
                await _answer(send, "400 BAD REQUEST", "JSONP is not spoken here")
                return None
            if scope["method"] == "POST":
                body = await _read_body(receive, self._options.frame_bytes)
                if body is None:
                    return None
                receive = _replay(body)
        return await super().handle_request(scope, receive, send)

    def generate_id(self) -> str:
        """A new session id that says whose it is: the requests of long-polling have to come back to this node."""
        name = self._options.node_name
        return f"{name}.{super().generate_id()}" if name else str(super().generate_id())

    def refuse_requests(self, connection: Connection) -> None:
        """Know the session no more."""
        self.sockets.pop(connection.sid, None)

    def forget(self, connection: Connection, *, authenticated: bool) -> None:
        """The connection has ended."""
        self.doors.leave(connection.address, authenticated=authenticated)

    async def _handle_connect(self, environ: Environ, transport: str, jsonp_index: int | None = None) -> Response | str:
        address = _address(environ["asgi.scope"])
        refusal = self.doors.refusal(address)
        if refusal is not None:
            _log.info("connection_refused", status=refusal)
            return await self._refuse(environ, refusal)
        connection = Connection(self._owner, self.generate_id(), address, self._options)
        self.sockets[connection.sid] = connection
        self.doors.enter(address)
        self._owner.began(connection)
        opening = self._opening(connection.sid, transport)
        if transport == "websocket":
            await connection.open_websocket(environ, opening)
            return ""
        return connection.begin_polling(opening)

    def _opening(self, sid: str, transport: str) -> Packet:
        return Packet(
            "0"
            + encode_json(
                {
                    "sid": sid,
                    "upgrades": ["websocket"] if transport == "polling" else [],
                    "pingInterval": round(self._options.ping_interval_seconds * 1000),
                    "pingTimeout": round(self._options.ping_timeout_seconds * 1000),
                    "maxPayload": self._options.frame_bytes,
                }
            )
        )

    async def _refuse(self, environ: Environ, status: str) -> Response | str:
        headers = [("Content-Type", "text/plain"), ("Retry-After", _RETRY_AFTER_SECONDS)]
        if environ["asgi.scope"]["type"] == "http":
            return {"status": status, "headers": headers, "response": b"try again later"}
        await _deny(environ["asgi.send"], status, headers)
        return ""

    def _log_error_once(self, message: str, message_key: str) -> None:
        """The library logs what clients sent; the kind of fault is enough."""
        _log.debug("request_refused", fault=message_key)


def _address(scope: Scope) -> str:
    client = scope.get("client")
    return str(client[0]) if client else "local"


async def _read_body(receive: Receive, most_bytes: int) -> bytes | None:
    """The body, cut off just beyond the limit; None when the client left."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return None
        body += event.get("body", b"")
        if len(body) > most_bytes:
            return bytes(body[: most_bytes + 1])
        if not event.get("more_body", False):
            return bytes(body)


def _replay(body: bytes) -> Receive:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    return receive


async def _answer(send: Send, status: str, message: str) -> None:
    headers = [(b"content-type", b"text/plain")]
    await send({"type": "http.response.start", "status": int(status[:3]), "headers": headers})
    await send({"type": "http.response.body", "body": message.encode()})


async def _deny(send: Send, status: str, headers: list[tuple[str, str]]) -> None:
    """Refuse a WebSocket with an HTTP status of its own (ASGI extension `websocket.http.response`)."""
    encoded = [(name.lower().encode(), value.encode()) for name, value in headers]
    await send({"type": "websocket.http.response.start", "status": int(status[:3]), "headers": encoded})
    await send({"type": "websocket.http.response.body", "body": b"try again later"})
