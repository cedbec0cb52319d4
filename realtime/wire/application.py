"""The ASGI application of an own server: long-polling goes to the engine, everything else to another application.

WebSockets of ours never come here: `link` takes them from uvicorn before. Those that do are on a path that nobody
serves, or uvicorn was not told of `link`, which is logged once.
"""

from collections.abc import Awaitable, Callable
from typing import Any

import engineio
import socketio
import structlog

from realtime.wire import polling
from realtime.wire.engine import Engine

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

_log = structlog.get_logger(__name__)


class EngineFacade(engineio.AsyncServer):  # type: ignore[misc]  # the library is not typed
    """What python-socketio makes for itself; it passes requests on to our engine."""

    engine: Engine
    _warned = False

    async def handle_request(self, scope: Scope, receive: Receive, send: Send) -> object:
        """Answer one request."""
        if scope["type"] != "websocket":
            await polling.serve(self.engine, scope, receive, send)
        else:
            if scope["path"] == self.engine.path:
                self._warn()
            await _refuse(send)
        return None

    def _warn(self) -> None:
        if not self._warned:
            self._warned = True
            _log.warning("websockets_not_served", hint="serve with uvicorn_options(wire.engine)")


class Application(socketio.ASGIApp):  # type: ignore[misc]  # the library is not typed
    """The library's application, which would answer a WebSocket at a path of nobody with a fault."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or have it answered."""
        if scope["type"] == "websocket" and self.other_asgi_app is None and not self._is_ours(scope["path"]):
            await _refuse(send)
        else:
            await super().__call__(scope, receive, send)

    def _is_ours(self, path: str) -> bool:
        return f"{path}/".startswith(self.engineio_path)


async def _refuse(send: Send) -> None:
    """Which is uvicorn's 403: a 404 of ours would make it log an error for whoever knocks at a wrong path."""
    await send({"type": "websocket.close", "code": 1011})
