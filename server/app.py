"""The ASGI application of a node: health, metrics, the page, REST, Socket.IO, and the life of what runs beside them."""

import signal
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import structlog
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from server.checks import checks_of
from server.health import Health
from server.levels import NodeLevels
from server.page import Page
from server.probes import NodeProbes, Probes
from server.version import VERSION
from server.wiring import ServerNode

_log = structlog.get_logger(__name__)


def create_app(node: ServerNode, seen_as: Callable[[Probes], Probes] = lambda own: own) -> tuple[ASGIApp, Health]:
    """The application that uvicorn serves, and its health (which the command line switches to draining).

    `seen_as` is given the node's own probes and gives those that are served: the node's, or of all that share its port.
    """
    health = Health(checks_of(node), node.clock, VERSION)
    node.registry.register(NodeLevels(node))
    probes = seen_as(NodeProbes(health, node.registry))

    async def alive(_request: Request) -> Response:
        return JSONResponse(await probes.health())

    async def ready(_request: Request) -> Response:
        serving, body = await probes.ready()
        return JSONResponse(body, status_code=200 if serving else 503)

    async def metrics(_request: Request) -> Response:
        return Response(await probes.metrics(), media_type=CONTENT_TYPE_LATEST)

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with running(node, health):
            yield

    outer = Starlette(
        routes=[
            Route("/health", alive),
            Route("/ready", ready),
            Route("/metrics", metrics),
            Mount("/", Page(node.settings, otherwise=node.rest)),
        ],
        lifespan=lifespan,
    )
    return node.wire.app(outer), health


@asynccontextmanager
async def running(node: ServerNode, health: Health) -> AsyncIterator[None]:
    """Run everything that works in the background; afterwards commit what was accepted, and let go of the stores."""
    stores = node.stores
    parts: dict[str, Coroutine[Any, Any, None]] = {
        "masters": stores.master_watch.run(),
        "bus": stores.bus.run(),
        "rooms": stores.rooms.run(),
        "hints": stores.hints.run(),
        "cursors": node.keeper.run(),
        "history": node.history.run(),
        "control": stores.control.run(),
        "register": stores.register.run(),
        "hub": node.hub.run(),
        "density": node.density.run(),
        "recorder": node.recorder.run(),
        "rates": node.rates.run(),
        "policies": node.follower.run(),
        "withdrawals": node.withdrawals.run(),
        "truth": node.truth.run(),
        "stream": node.stream_watch.run(),
        "gateway": node.gateway.run(),
    }

    def end_with(task: Any) -> None:
        """A part that ends by a fault nobody foresaw takes the node with it: a fresh one is better than a cripple."""
        if not task.cancelled() and task.exception() is not None:
            _log.critical("node_stops", part=task.get_name())
            health.broken = True
            signal.raise_signal(signal.SIGTERM)

    async with node.tasks:
        for name, work in parts.items():
            node.tasks.start(work, name).add_done_callback(end_with)
        try:
            yield
        finally:
            node.wire.stop()
            await node.wire.shutdown()
    for store in (stores.takeover, stores.track_log, stores.policy_cache, stores.counts):
        await store.aclose()
    await stores.redis.aclose()
    await stores.limits.close()
    await stores.engine.dispose()
