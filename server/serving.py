"""One node as a process: uvicorn with the wire in it, until it is told to stop."""

import asyncio
import gc
import socket
from types import FrameType

import structlog
import uvicorn

from domain.kit.clock import SystemClock
from realtime.wire.server import uvicorn_options
from server.app import create_app
from server.settings import Settings
from server.stopping import Stopping
from server.telemetry import create_registry
from server.wiring import build

LAST_WORDS_SECONDS = 0.3
"""From a second signal until connections that are still open are cut."""
LISTEN_BACKLOG = 4096

_log = structlog.get_logger(__name__)


def serve(settings: Settings, host: str, port: int) -> int:
    """Serve until SIGTERM or Ctrl-C; exit status 1 when a part of the node failed."""
    node = build(settings, SystemClock(), create_registry(), f"{host}:{port}")
    app, health = create_app(node)
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
        **uvicorn_options(node.wire.engine),
    )
    _Server(config, Stopping(node, health), settings.mode).run()
    return 1 if health.broken else 0


def _settle_memory() -> None:
    """Have the garbage collector pass over what is there for good: all modules, and the parts of the node.

    While thousands connect it would otherwise walk them again and again, everybody waiting.
    """
    gc.collect()
    gc.freeze()


class _Server(uvicorn.Server):
    """Uvicorn, telling the node first: sockets are sent away before it waits for connections to end."""

    def __init__(self, config: uvicorn.Config, stopping: Stopping, mode: str) -> None:
        super().__init__(config)
        self._stopping = stopping
        self._mode = mode
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
        await super().startup(sockets)
        if self.started:
            _settle_memory()
            _log.info("listening", address=f"http://{self.config.host}:{self.config.port}", mode=self._mode)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await self._stopping.send_away()
        self.config.timeout_graceful_shutdown = self._stopping.seconds_for_requests  # type: ignore[assignment]  # waits
        await super().shutdown(sockets)

    def _cut(self) -> None:
        for connection in list(self.server_state.connections):
            connection.transport.abort()
