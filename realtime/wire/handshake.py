"""The request that opens a WebSocket (RFC 6455, section 4.2), taken apart and answered, without I/O."""

import base64
import binascii
import hashlib
import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_KEY_BYTES = 16
_RETRY_AFTER_SECONDS = 5
FORBIDDEN = 4
"""Engine.IO's number for whoever is not let in."""
_FORWARDED = "x-forwarded-for"
_END = b"\r\n\r\n"


class Request(NamedTuple):
    """What the answer depends on; header names are in lower case, of several with one name the last counts."""

    path: str
    query: dict[str, str]
    headers: dict[str, str]


class Refusal(Exception):
    """Not let in: an HTTP status, and the number and sentence by which Engine.IO's clients know why."""

    def __init__(
        self, status: int, code: int, message: str, *, retry_after_seconds: int = _RETRY_AFTER_SECONDS
    ) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self._retry_after_seconds = retry_after_seconds

    @property
    def headers(self) -> dict[str, str]:
        """Of the answer."""
        headers = {"Content-Type": "application/json"}
        if self.status in (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE):
            headers["Retry-After"] = str(self._retry_after_seconds)
        return headers

    @property
    def body(self) -> bytes:
        """Of the answer, as Node's Engine.IO server writes it."""
        return json.dumps({"code": self.code, "message": self.message}, separators=(",", ":")).encode()


def unknown_transport() -> Refusal:
    """Engine.IO's error 0."""
    return Refusal(400, 0, "Transport unknown")


def unknown_session() -> Refusal:
    """Engine.IO's error 1."""
    return Refusal(400, 1, "Session ID unknown")


def bad_method() -> Refusal:
    """Engine.IO's error 2."""
    return Refusal(400, 2, "Bad handshake method")


def bad_request(message: str = "Bad request", status: int = 400) -> Refusal:
    """Engine.IO's error 3."""
    return Refusal(status, 3, message)


def forbidden(message: str = "Forbidden", status: int = 403) -> Refusal:
    """Engine.IO's error 4."""
    return Refusal(status, FORBIDDEN, message)


def unsupported_version() -> Refusal:
    """Engine.IO's error 5."""
    return Refusal(400, 5, "Unsupported protocol version")


def parse_query(query: str) -> dict[str, str]:
    """The parameters of a query string; of several with one name the first counts."""
    parameters: dict[str, str] = {}
    for name, value in parse_qsl(query, keep_blank_values=True) if "%" in query or "+" in query else _plain(query):
        parameters.setdefault(name, value)
    return parameters


def _plain(query: str) -> Iterable[tuple[str, str]]:
    return (part.partition("=")[::2] for part in query.split("&"))


def target_of(data: bytes) -> tuple[str, str] | None:
    """Path and query of a GET request's first line, None when there is none."""
    line = data[: data.find(b"\r\n")]
    method, _, rest = line.partition(b" ")
    target, _, version = rest.partition(b" ")
    if method != b"GET" or not version.startswith(b"HTTP/1."):
        return None
    path, _, query = target.decode("latin-1").partition("?")
    return path, query


def parse_request(data: bytes, path: str, query: str) -> Request:
    """The whole request, of which the first line is known. Raises Refusal."""
    head, end, _ = data.partition(_END)
    if not end:
        raise bad_request()
    headers: dict[str, str] = {}
    for line in head.decode("latin-1").split("\r\n")[1:]:
        name, _, value = line.partition(":")
        name, value = name.lower(), value.strip()
        if name == _FORWARDED and name in headers:
            value = f"{headers[name]}, {value}"  # each proxy may add a line of its own
        headers[name] = value
    return Request(path, parse_query(query), headers)


def accept(request: Request) -> str:
    """The value of `Sec-WebSocket-Accept`. Raises Refusal when this is no WebSocket request of version 13."""
    if request.headers.get("upgrade", "").lower() != "websocket":
        raise bad_request()
    if request.headers.get("sec-websocket-version") != "13":
        raise Refusal(HTTPStatus.UPGRADE_REQUIRED, 3, "WebSocket version 13 is spoken here")
    key = request.headers.get("sec-websocket-key", "")
    try:
        if len(base64.b64decode(key, validate=True)) != _KEY_BYTES:
            raise bad_request()
        digest = hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    except (binascii.Error, ValueError) as error:
        raise bad_request() from error
    return base64.b64encode(digest).decode()


def switching(accepted: str, extensions: str | None = None, protocols: str | None = None) -> bytes:
    """The answer that opens the WebSocket; the first subprotocol that is asked for is spoken, as by Node's server."""
    extra = f"Sec-WebSocket-Extensions: {extensions}\r\n" if extensions else ""
    if protocols:
        extra += f"Sec-WebSocket-Protocol: {protocols.split(',')[0].strip()}\r\n"
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {accepted}\r\n{extra}\r\n"
    ).encode()


def refusing(refusal: Refusal) -> bytes:
    """The answer that does not."""
    status = HTTPStatus(refusal.status)
    headers = {**refusal.headers, "Content-Length": str(len(refusal.body)), "Connection": "close"}
    if status is HTTPStatus.UPGRADE_REQUIRED:
        headers["Sec-WebSocket-Version"] = "13"
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"HTTP/1.1 {status.value} {status.phrase}\r\n{lines}\r\n".encode() + refusal.body


def wsgi_environ(request: Request, address: str) -> dict[str, str]:
    """The request in the form in which python-socketio gives it to handlers."""
    query = "&".join(f"{name}={value}" for name, value in request.query.items())
    named = {f"HTTP_{name.upper().replace('-', '_')}": value for name, value in request.headers.items()}
    return {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": request.path,
        "QUERY_STRING": query,
        "RAW_URI": f"{request.path}?{query}",
        "REMOTE_ADDR": address,
        "SERVER_PROTOCOL": "HTTP/1.1",
        **named,
    }
