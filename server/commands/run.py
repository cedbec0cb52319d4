"""`python -m server run`: one node, serving until it is told to stop."""

import argparse
import gc
import signal
import socket
import sys
from types import FrameType

import structlog
import uvicorn

from domain.kit.clock import SystemClock
from realtime.wire.server import uvicorn_options
from server.app import create_app
from server.health import Health
from server.listening import CannotListen, add_address, check_address
from server.settings import load
from server.telemetry import create_registry, start_logging
from server.wiring import ServerNode, build

STOP_SECONDS = 10
"""Requests under way get this long to end when the node stops."""
LAST_ANSWERS_SECONDS = 0.1
"""Between the last group commit and the closing of the sockets."""
LISTEN_BACKLOG = 4096

_log = structlog.get_logger(__name__)


def add_parser(subparsers: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Declare the command and its options."""
    parser = subparsers.add_parser("run", help="run one node")
    add_address(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serve until SIGTERM or Ctrl-C; exit status 1 when a part of the node failed or the port is taken."""
    settings = load()
    start_logging(settings)
    try:
        check_address(options.host, options.port, instead="choose another with --port {}")
    except CannotListen as reason:
        print(reason, file=sys.stderr)
        return 1
    node = build(settings, SystemClock(), create_registry(), f"{options.host}:{options.port}")
    app, health = create_app(node)
    config = uvicorn.Config(
        app,
        host=options.host,
        port=options.port,
        loop="uvloop",
        backlog=LISTEN_BACKLOG,
        access_log=False,
        log_config=None,
        forwarded_allow_ips=settings.trusted_proxies,
        proxy_headers=True,
        server_header=False,
        timeout_graceful_shutdown=STOP_SECONDS,
        **uvicorn_options(node.wire.engine),
    )
    _Server(config, node, health, settings.mode).run()
    return 1 if health.broken else 0


def _settle_memory() -> None:
    """Have the garbage collector pass over what is there for good: all modules, and the parts of the node.

    While thousands connect it would otherwise walk them again and again, everybody waiting.
    """
    gc.collect()
    gc.freeze()


class _Server(uvicorn.Server):
    """Uvicorn, telling the node first: sockets are sent away before it waits for connections to end."""

    def __init__(self, config: uvicorn.Config, node: ServerNode, health: Health, mode: str) -> None:
        super().__init__(config)
        self._node = node
        self._health = health
        self._mode = mode

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """End in good order, with an exit status; uvicorn's own would send itself the signal again afterwards."""
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open the port, and say so; uvicorn ends the process when it cannot."""
        await super().startup(sockets)
        if self.started:
            _settle_memory()
            _log.info("listening", address=f"http://{self.config.host}:{self.config.port}", mode=self._mode)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._health.draining = True
        # What was accepted is kept and answered before the sockets that wait for the answers are closed.
        await self._node.recorder.commit()
        await self._node.clock.sleep(LAST_ANSWERS_SECONDS)
        self._node.wire.stop()
        await super().shutdown(sockets)
