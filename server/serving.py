"""One node as a process: uvicorn with the wire in it, until it is told to stop."""

import asyncio
import gc
import socket
from types import FrameType

import structlog
import uvicorn

from domain.kit.clock import SystemClock
from realtime.wire.engine import Engine
from realtime.wire.quiet_server import QuietServer
from realtime.wire.server import uvicorn_options
from server.app import create_app
from server.listening import listeners
from server.nodes.options import ChildOptions
from server.nodes.siblings import Siblings
from server.settings import Settings
from server.stopping import Stopping
from server.telemetry import create_registry
from server.wiring import build

LAST_WORDS_SECONDS = 0.3
"""From a second signal until connections that are still open are cut."""
LISTEN_BACKLOG = 4096

_log = structlog.get_logger(__name__)


def serve(settings: Settings, host: str, port: int, child: ChildOptions | None = None) -> int:
    """Serve until SIGTERM or Ctrl-C; exit status 1 when a part of the node failed. A `child` is one node of several."""
    registry = create_registry()
    node = build(settings, SystemClock(), registry, f"{host}:{port}")
    siblings = None if child is None else Siblings(child, registry, node.tasks)
    app, health = create_app(node) if siblings is None else create_app(node, siblings.probes)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        loop="uvloop",
        backlog=LISTEN_BACKLOG,
        access_log=False,
        log_config=None,
        forwarded_allow_ips=settings.trusted_proxies,
        proxy_headers=True,
        server_header=False,
        **uvicorn_options(node.wire.engine, siblings=None if siblings is None else siblings.giver),
    )
    server = _Server(config, node.wire.engine, Stopping(node, health), settings.mode, siblings)
    server.run(listeners(host, port, share=siblings is not None))
    return 1 if health.broken else 0


def _settle_memory() -> None:
    """Have the garbage collector pass over what is there for good: all modules, and the parts of the node.

    While thousands connect it would otherwise walk them again and again, everybody waiting.
    """
    gc.collect()
    gc.freeze()


class _Server(QuietServer):
    """Uvicorn, telling the node first: sockets are sent away before it waits for connections to end."""

    def __init__(
        self, config: uvicorn.Config, engine: Engine, stopping: Stopping, mode: str, siblings: Siblings | None
    ) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._engine = engine
        self._mode = mode
        self._siblings = siblings
        self._loop: asyncio.AbstractEventLoop

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in good order, with an exit status; uvicorn's own would send itself the signal again afterwards."""
        self._stopping.signalled()
        if self._stopping.hurried and not self.force_exit:
            self.force_exit = True
            self._loop.call_soon_threadsafe(self._loop.call_later, LAST_WORDS_SECONDS, self._cut)
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, and say so; uvicorn ends the process when it cannot."""
        self._loop = asyncio.get_running_loop()
        self._engine.listens(sockets or ())
        await super().startup(sockets)
        if self.started:
            _settle_memory()
            if self._siblings is not None:
                await self._siblings.begin(self._protocol)
            _log.info("listening", address=f"http://{self.config.host}:{self.config.port}", mode=self._mode)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._stopping.send_away()
        self.config.timeout_graceful_shutdown = self._stopping.seconds_for_requests  # type: ignore[assignment]  # waits
        if self._siblings is not None:
            self._siblings.end()
        await super().shutdown(sockets)

    def _protocol(self, given: bytes) -> asyncio.Protocol:
        """What uvicorn makes for a new connection, for one of which so much was read elsewhere."""
        return self.config.http_protocol_class(  # type: ignore[call-arg]  # a partial object of ours
            config=self.config, server_state=self.server_state, app_state=self.lifespan.state, given=given
        )

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
