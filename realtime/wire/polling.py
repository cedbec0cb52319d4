"""Engine.IO over long-polling: one HTTP request as ASGI, answered as Node's server answers it.

A GET waits until there is something to say, a POST brings packets. What breaks the protocol ends the session: a second
poll or POST beside the first, a poll that is given up, a body that is no payload, is too large or takes too long. A
request never outlives its session.
"""

import asyncio
import base64
import binascii
from collections.abc import Awaitable, Callable
from enum import Enum, auto
from http import HTTPStatus
from typing import Any

from realtime.wire.connection import CLOSE, NOOP, Connection, Violation
from realtime.wire.engine import Engine
from realtime.wire.handshake import Refusal, Request, bad_method, bad_request, parse_query
from realtime.wire.packets import Format

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_SEPARATOR = "\x1e"
_SLICE = 32
"""Packets of one body that are handled before others get their turn."""
_MOST_PACKETS = 4096
"""Of one body; as many may wait the other way."""
_KINDS = ("1", "3", "4", "5", "6")
_TEXT = "text/plain; charset=UTF-8"
_WRITTEN_NOOP = NOOP.payload(Format.JSON)
_WRITTEN_CLOSE = CLOSE.payload(Format.JSON)


async def serve(engine: Engine, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer one request under the engine's path."""
    request = _request(scope)
    headers = {"cache-control": "no-store", **_cors(engine, request, scope)}
    try:
        if scope["method"] == "OPTIONS":
            await _answer(send, 200, "", headers | _preflight(request))
            return
        body = await _serve(engine, request, scope, receive)
    except Refusal as refusal:
        headers |= {name.lower(): value for name, value in refusal.headers.items()}
        await _answer(send, refusal.status, refusal.body, headers)
    except _GoneAway:
        return
    else:
        await _answer(send, 200, body, {"content-type": _TEXT} | headers)


class _GoneAway(Exception):
    """Nobody waits for the answer."""


class _Unread(Enum):
    """Why there is no body."""

    TOO_LARGE = auto()
    GONE = auto()


def _request(scope: Scope) -> Request:
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    return Request(scope["path"], parse_query(scope.get("query_string", b"").decode("latin-1")), headers)


async def _serve(engine: Engine, request: Request, scope: Scope, receive: Receive) -> str:
    """The body of the answer. Raises Refusal."""
    connection = engine.check(request, scope.get("scheme", "http"))
    if request.query["transport"] != "polling" or "j" in request.query:
        raise bad_request()
    method = scope["method"]
    if connection is None:
        if method != "GET":
            raise bad_method()
        client = scope.get("client")
        address = str(client[0]) if client else "local"  # uvicorn has put a trusted proxy's word there
        return engine.opening(engine.begin(address, request), polling=True)
    if connection.on_websocket:
        raise bad_request()
    if method == "GET":
        return await _poll(engine, connection, receive)
    if method == "POST":
        await _post(engine, connection, request, receive)
        return "ok"
    raise bad_request()


async def _poll(engine: Engine, connection: Connection, receive: Receive) -> str:
    """What there is to say, when there is."""
    if connection.poll is not None:
        connection.end("parse error")
        raise bad_request()
    if not connection.backlog() and not connection.moving:
        waiting = connection.poll = asyncio.get_running_loop().create_future()
        watcher = engine.tasks.start(_watch(connection, receive), "poll")
        try:
            await waiting
        finally:
            connection.poll = None
            watcher.cancel()
    if connection.moving:
        return _WRITTEN_NOOP
    return connection.take_payload() or (_WRITTEN_CLOSE if connection.closed else _WRITTEN_NOOP)


async def _watch(connection: Connection, receive: Receive) -> None:
    """A client that gives its poll up has gone: its next one would miss what this one might have taken."""
    while (await receive())["type"] != "http.disconnect":
        pass
    connection.end("transport error")


async def _post(engine: Engine, connection: Connection, request: Request, receive: Receive) -> None:
    if connection.posting is not None:
        raise _out_of_order(connection)
    ended = connection.posting = asyncio.get_running_loop().create_future()
    try:
        body = await _body(engine, connection, request, receive, ended)
        await _hand_on(connection, body, ended)
    finally:
        connection.posting = None


async def _body(
    engine: Engine, connection: Connection, request: Request, receive: Receive, ended: asyncio.Future[None]
) -> bytes:
    """The body, while the session lasts and within the time of a PONG. Raises Refusal: the session is over."""
    most_bytes, within_seconds = engine.most_bytes(connection), engine.options.ping_timeout_seconds
    if _announced_bytes(request) > most_bytes:
        raise _too_large(connection, most_bytes)
    reading = engine.tasks.start(_read_body(receive, most_bytes), "body")
    try:
        await asyncio.wait((reading, ended), timeout=within_seconds, return_when=asyncio.FIRST_COMPLETED)
        if not reading.done():
            raise _unfinished(connection, within_seconds)
    finally:
        reading.cancel()
    body = reading.result()
    if body is _Unread.TOO_LARGE:
        raise _too_large(connection, most_bytes)
    if body is _Unread.GONE:
        raise _GoneAway
    return body


async def _hand_on(connection: Connection, body: bytes, ended: asyncio.Future[None]) -> None:
    """Have the packets of a body heard."""
    try:
        packets = _packets(body)
    except Violation as fault:
        connection.end("parse error")
        raise bad_request() from fault
    for number, packet in enumerate(packets, 1):
        if connection.busy is not None or connection.on_websocket:
            raise _out_of_order(connection)
        if not connection.hear(None, packet) and connection.busy is not None:
            await asyncio.wait((connection.busy, ended), return_when=asyncio.FIRST_COMPLETED)
        elif number % _SLICE == 0:
            await asyncio.sleep(0)


def _out_of_order(connection: Connection) -> Refusal:
    """A second POST beside the first, or a WebSocket: what would come in first is anybody's guess."""
    connection.end("parse error")
    return bad_request()


def _too_large(connection: Connection, most_bytes: int) -> Refusal:
    connection.end("parse error")
    return bad_request(f"a body has at most {most_bytes} bytes", HTTPStatus.REQUEST_ENTITY_TOO_LARGE)


def _unfinished(connection: Connection, within_seconds: float) -> Refusal:
    """The session ended before its body had come, or ends because that takes too long."""
    if connection.closed:
        return bad_request()
    connection.end("transport error")
    return bad_request(f"a body has to come within {within_seconds:g} seconds", HTTPStatus.REQUEST_TIMEOUT)


def _announced_bytes(request: Request) -> int:
    """What the client says that it sends; the server has seen to it that it sends no more."""
    length = request.headers.get("content-length", "")
    return int(length) if length.isdecimal() else 0


async def _read_body(receive: Receive, most_bytes: int) -> "bytes | _Unread":
    """The body, or why there is none."""
    body = bytearray()
    while True:
        event = await receive()
        if event["type"] != "http.request":
            return _Unread.GONE
        body += event.get("body", b"")
        if len(body) > most_bytes:
            return _Unread.TOO_LARGE
        if not event.get("more_body", False):
            return bytes(body)


def _packets(body: bytes) -> list[str | bytes]:
    """The packets of a payload. Raises Violation."""
    if body.count(_SEPARATOR.encode()) >= _MOST_PACKETS:
        raise Violation("too many packets")
    try:
        return [_packet(part) for part in body.decode().split(_SEPARATOR)]
    except UnicodeDecodeError as error:
        raise Violation("not UTF-8") from error


def _packet(part: str) -> str | bytes:
    """A packet of a payload: binary ones are in base64 after a `b`. Raises Violation."""
    if part[:1] in _KINDS:
        return part
    if part[:1] != "b":
        raise Violation("not an Engine.IO packet")
    try:
        return base64.b64decode(part[1:], validate=True)
    except (binascii.Error, ValueError) as error:
        raise Violation("not base64") from error


def _cors(engine: Engine, request: Request, scope: Scope) -> dict[str, str]:
    """A page from an allowed origin may read the answer; there are no cookies, so no credentials are asked for."""
    origin = request.headers.get("origin")
    if origin is None or not engine.allows(request, scope.get("scheme", "http")):
        return {}
    return {"access-control-allow-origin": origin, "vary": "Origin"}


def _preflight(request: Request) -> dict[str, str]:
    headers = {"access-control-allow-methods": "GET, POST, OPTIONS"}
    if (asked := request.headers.get("access-control-request-headers")) is not None:
        headers["access-control-allow-headers"] = asked
    return headers


async def _answer(send: Send, status: int, body: str | bytes, headers: dict[str, str]) -> None:
    data = body if isinstance(body, bytes) else body.encode()
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    encoded.append((b"content-length", str(len(data)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": data})
