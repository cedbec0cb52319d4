"""`python -m server conformance`: what the public test suites of Engine.IO and Socket.IO have to find at a port.

The same wire as a node's, with the handlers that the suites ask for in place of ours, and no rider, store or token:
at /engine.io/ every message comes back; at /socket.io/ the namespaces / and /custom have a few events.
"""

import argparse
import socket
import sys
from base64 import b64encode
from types import FrameType
from typing import Any

import uvicorn

from realtime.wire import polling
from realtime.wire.connection import Connection
from realtime.wire.engine import Engine
from realtime.wire.frames import BINARY, frame
from realtime.wire.options import WireOptions
from realtime.wire.packets import Format, Packet, engine_packet
from realtime.wire.polling import Receive, Scope, Send
from realtime.wire.server import Wire, uvicorn_options
from server.listening import CannotListen, add_address, check_address

ENGINE_PATH = "/engine.io/"
NAMESPACES = ("/", "/custom")
FRAME_BYTES = 1_000_000
"""As the suites have it."""
CONNECT_WITHIN_SECONDS = 1.5
"""Longer than their heartbeat tests, which never connect, and shorter than they wait for a close."""
SOCKETS_PER_ADDRESS = 1_000


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser("conformance", help="serve the public test suites of Engine.IO and Socket.IO")
    add_address(parser)
    parser.add_argument("--ping-interval-ms", type=milliseconds, default=300, help="(default: %(default)s)")
    parser.add_argument("--ping-timeout-ms", type=milliseconds, default=200, help="(default: %(default)s)")
    parser.set_defaults(run=run)


def milliseconds(text: str) -> int:
    """An argument of the command line. Raises ArgumentTypeError."""
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError("must be a whole number of milliseconds, 1 or more")
    return int(text)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; exit status 1 when the port cannot be had."""
    try:
        check_address(options.host, options.port, instead="choose another with --port {}")
    except CannotListen as reason:
        print(reason, file=sys.stderr)
        return 1
    conformance = Conformance(options.ping_interval_ms, options.ping_timeout_ms)
    _Server(conformance.config(options.host, options.port, loop="uvloop"), conformance).run()
    return 0


class Conformance:
    """Both servers, as one application."""

    def __init__(self, ping_interval_ms: int, ping_timeout_ms: int, **changed: Any) -> None:
        """`changed` are further options of the wire."""
        given = {
            "ping_interval_seconds": ping_interval_ms / 1000,
            "ping_timeout_seconds": ping_timeout_ms / 1000,
            "connect_within_seconds": CONNECT_WITHIN_SECONDS,
            "frame_bytes": FRAME_BYTES,
            "sockets_per_address": SOCKETS_PER_ADDRESS,
        }
        options = WireOptions(**given | changed)
        self._echo = Engine(options, Echo, path=ENGINE_PATH)
        self._wire = Wire(options)
        self._echo.tasks = self._wire.tasks
        for namespace in NAMESPACES:
            add_handlers(self._wire, namespace)

    def config(self, host: str, port: int, **further: Any) -> uvicorn.Config:
        """What uvicorn has to run."""
        return uvicorn.Config(
            self._wire.app(self._other),
            host=host,
            port=port,
            lifespan="off",
            log_config=None,
            access_log=False,
            **uvicorn_options(self._wire.engine, self._echo),
            **further,
        )

    def stop(self) -> None:
        """Close every connection and let nobody in any more."""
        self._wire.stop()
        self._echo.doors.shut = True
        for connection in list(self._echo.sessions.values()):
            connection.end("server shutting down")

    async def shutdown(self) -> None:
        """After `stop`: let what connections have begun end, and cancel what does not in time."""
        await self._wire.shutdown()

    async def _other(self, scope: Scope, receive: Receive, send: Send) -> None:
        """What is not for Socket.IO."""
        if scope["type"] == "http" and scope["path"] == ENGINE_PATH:
            await polling.serve(self._echo, scope, receive, send)
        elif scope["type"] == "http":
            await send({"type": "http.response.start", "status": 404})
            await send({"type": "http.response.body"})
        else:
            await send({"type": "websocket.close"})


class Echo:
    """Sends every message of an Engine.IO session back."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        connection.trust()

    def message(self, data: str | bytes) -> None:
        """A message arrived."""
        self._connection.send(engine_packet("4" + data) if isinstance(data, str) else binary_message(data))

    def ended(self, reason: str) -> None:
        """The session is over."""


class BinaryMessage(Packet):
    """A binary message of Engine.IO alone; those of Socket.IO belong to a packet in text."""

    data: bytes = b""

    def frames(self, form: Format) -> bytes:
        return self.json

    def payload(self, form: Format) -> str:
        return "b" + b64encode(self.data).decode()


def binary_message(data: bytes) -> BinaryMessage:
    """A message of these bytes."""
    return BinaryMessage(frame(BINARY, data), plain=False, data=data)


def add_handlers(wire: Wire, namespace: str) -> None:
    """The events of the Socket.IO suite in a namespace."""

    async def connect(sid: str, _environ: dict[str, Any], auth: object = None) -> None:
        await wire.emit("auth", auth or {}, to=sid, namespace=namespace)

    async def message(sid: str, *arguments: object) -> None:
        await wire.emit("message-back", arguments, to=sid, namespace=namespace)

    async def message_with_ack(_sid: str, *arguments: object) -> tuple[object, ...]:
        return arguments

    wire.on("connect", connect, namespace=namespace)
    wire.on("message", message, namespace=namespace)
    wire.on("message-with-ack", message_with_ack, namespace=namespace)


class _Server(uvicorn.Server):
    """uvicorn, closing connections before it waits for their end."""

    def __init__(self, config: uvicorn.Config, conformance: Conformance) -> None:
        super().__init__(config)
        self._conformance = conformance

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in good order, with an exit status."""
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        print(f"listening on http://{self.config.host}:{self.config.port}", flush=True)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._conformance.stop()
        await super().shutdown(sockets)
        await self._conformance.shutdown()
