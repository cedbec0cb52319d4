"""`python -m loadtests.bench.nodes.server NAME PORT REDIS_URL EVENT`: the wire whose rooms reach over all nodes.

The handlers are those of every Python server of `wire`: `join` enters the room, `go` emits to it. It proves that it
hears as often as a node does.
"""

import gc
import json
import sys

import uvicorn
import uvloop
from prometheus_client import CollectorRegistry

from domain.kit.clock import SystemClock
from domain.kit.tasks import TaskOwner
from loadtests.bench.wire.servers.handlers import attach
from realtime.bus.connections import BusOptions
from realtime.bus.metrics import BusMetrics
from realtime.bus.rooms import RedisRooms
from realtime.wire.options import WireOptions
from realtime.wire.server import Wire, WireServer, uvicorn_options
from server import settings


async def _serve(name: str, port: int, redis_url: str, payload: object) -> None:
    node = settings.read()
    options = BusOptions(
        redis_url,
        heartbeat_seconds=node.bus_heartbeat_seconds,
        deaf_seconds=2 * node.bus_heartbeat_seconds,
    )
    rooms = RedisRooms(name, SystemClock(), options, BusMetrics(CollectorRegistry()))
    wire = Wire(WireOptions(sockets_per_address=20_000, node_name=name), nodes=rooms)
    attach(wire, payload)
    config = uvicorn.Config(
        wire.app(), host="127.0.0.1", port=port, backlog=4096, log_level="warning", **uvicorn_options(wire.engine)
    )
    async with TaskOwner("bench") as owner:
        owner.start(rooms.run(), "rooms")
        gc.freeze()  # as a node does
        await WireServer(config, wire).serve()


def main() -> None:
    """Serve until killed."""
    name, port, redis_url, event = sys.argv[1:]
    uvloop.run(_serve(name, int(port), redis_url, json.loads(event)))


if __name__ == "__main__":
    main()
