"""The first bytes of a connection: nearly always the whole handshake of a WebSocket, which then is opened at once.

uvicorn's HTTP class would take it apart with a call for each header, write it anew, and hand it on to be taken apart
again: a tenth of what it costs to connect. Promises: what is opened here would have been opened there. Whatever is not
plainly such a handshake, or names a session, goes to that class from its first byte, with the time that it has left.
"""

import asyncio
import functools
import re
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, cast

from uvicorn.config import Config
from uvicorn.server import ServerState

from realtime.wire.http import BoundedHttp, Bounds

_HEAD = (
    rb"GET (?:%s)\?(?!(?:[!-~]*&)?sid=)[!-\"$-~]* HTTP/1\.1\r\n"
    rb"(?i:(?!content-length:|transfer-encoding:|expect:)[!#$%%&'*+\-.^_`|~0-9a-z]+:[\t -~\x80-\xff]*\r\n)+\r\n"
)
"""A whole request without a body (RFC 9112), for one of the paths, in which no character is a matter of opinion."""
_UPGRADE = re.compile(rb"\r\nupgrade:[ \t]*websocket\r\n", re.IGNORECASE)
_CONNECTION = re.compile(rb"\r\nconnection:(?:[^\r]*,)?[ \t]*upgrade[ \t]*(?:,[^\r]*)?\r\n", re.IGNORECASE)
_EITHER = re.compile(rb"\r\n(?:upgrade|connection):", re.IGNORECASE)


class Ways(NamedTuple):
    """Where connections go from the entrance."""

    bounds: Bounds
    http: Callable[..., BoundedHttp]
    is_handshake: Callable[[bytes], object]


def entrance(bounds: Bounds, http: Callable[..., BoundedHttp], paths: Iterable[str]) -> Callable[..., Any]:
    """What uvicorn takes as `http=`, in front of such a class; with `given` (see `handover`) it is that class."""
    named = b"|".join(re.escape(path.encode()) for path in paths)
    head = re.compile(_HEAD % named)
    return functools.partial(_enter, Ways(bounds, http, head.fullmatch))


def _enter(ways: Ways, *, given: bytes = b"", **of_uvicorn: Any) -> asyncio.Protocol:
    if given:
        return ways.http(given=given, **of_uvicorn)
    return Entrance(ways, **of_uvicorn)


class Entrance(asyncio.Protocol):
    """One TCP connection of which nothing has come yet."""

    __slots__ = ("_config", "_loop", "_states", "_ways", "transport")

    def __init__(
        self,
        ways: Ways,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        """All but `ways` is what uvicorn gives."""
        self._ways = ways
        self._config = config
        self._states = (server_state, app_state)
        self._loop = _loop
        self.transport: asyncio.Transport = cast(asyncio.Transport, None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.Transport, transport)
        self._states[0].connections.add(self)  # type: ignore[arg-type]  # it asks for `shutdown` only
        self._ways.bounds.waiting.start(self.transport)

    def data_received(self, data: bytes) -> None:
        """Hand the connection on."""
        self._states[0].connections.discard(self)
        websocket = self._config.ws_protocol_class
        if websocket is not None and len(data) <= self._ways.bounds.head_bytes and self._is_websocket(data):
            self._ways.bounds.waiting.stop(self.transport)
            self._hand_on(websocket, data)
        else:
            self._hand_on(functools.partial(self._ways.http, _loop=self._loop), data)

    def eof_received(self) -> None:
        """Nothing was asked: the transport closes itself."""

    def connection_lost(self, exc: Exception | None) -> None:
        self._ways.bounds.waiting.stop(self.transport)
        self._states[0].connections.discard(self)

    def shutdown(self) -> None:
        """uvicorn stops."""
        self.transport.close()

    def _is_websocket(self, data: bytes) -> bool:
        if not (self._ways.is_handshake(data) and _UPGRADE.search(data) and _CONNECTION.search(data)):
            return False
        return len(_EITHER.findall(data)) == 2  # each of them once

    def _hand_on(self, make: Callable[..., asyncio.Protocol], data: bytes) -> None:
        server_state, app_state = self._states
        protocol = make(config=self._config, server_state=server_state, app_state=app_state)
        protocol.connection_made(self.transport)
        self.transport.set_protocol(protocol)
        protocol.data_received(data)
