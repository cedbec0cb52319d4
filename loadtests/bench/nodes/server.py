"""`python -m loadtests.bench.nodes.server NAME PORT REDIS_URL EVENT`: wire and gateway, with rooms over all nodes.

What Node's peer does in its handlers: `join` enters the room, `go` emits to it and does not wait. Both are declared
events. It proves that it hears as often as a node does.
"""

import gc
import json
import sys

import uvicorn
import uvloop
from prometheus_client import CollectorRegistry

from domain.kit.clock import SystemClock
from domain.kit.tasks import TaskOwner
from loadtests.bench.wire.servers.handlers import ROOM
from loadtests.bench.wire.servers.ours import bench_gateway
from realtime.bus.connections import BusOptions
from realtime.bus.metrics import BusMetrics
from realtime.bus.rooms import RedisRooms
from realtime.gateway.client import Client
from realtime.gateway.contracts import Contract, Limit, Payload, Promise, handles
from realtime.gateway.namespace import InNamespace
from realtime.wire.options import WireOptions
from realtime.wire.server import Wire, WireServer, uvicorn_options
from server import settings


class Nothing(Payload, frozen=True):
    """No field."""


_OFTEN = Limit(per_second=1e6, burst=1_000_000)
JOIN = Contract("join", Nothing, Promise.NONE, _OFTEN)
GO = Contract("go", Nothing, Promise.NONE, _OFTEN)


class RoomHandlers:
    """The two events of the peers."""

    def __init__(self, wire: Wire, payload: object) -> None:
        self._wire = wire
        self._payload = payload

    @handles(JOIN)
    async def join(self, client: Client, _payload: Nothing) -> None:
        """Enter the room."""
        await self._wire.enter_room(client.id, ROOM)

    @handles(GO)
    def go(self, _client: Client, _payload: Nothing) -> None:
        """Emit to it."""
        self._wire.emit_nowait("event", self._payload, to=ROOM)


async def _serve(name: str, port: int, redis_url: str, payload: object) -> None:
    node = settings.read()
    options = BusOptions(
        redis_url,
        heartbeat_seconds=node.bus_heartbeat_seconds,
        deaf_seconds=2 * node.bus_heartbeat_seconds,
    )
    rooms = RedisRooms(name, SystemClock(), options, BusMetrics(CollectorRegistry()))
    wire = Wire(WireOptions(sockets_per_address=20_000, node_name=name), nodes=rooms)
    tasks = TaskOwner("bench")
    hooks = [InNamespace(lambda: wire.emitter.rooms("/"))]
    wire.serve(bench_gateway([RoomHandlers(wire, payload)], tasks, hooks))
    config = uvicorn.Config(
        wire.app(), host="127.0.0.1", port=port, backlog=4096, log_level="warning", **uvicorn_options(wire.engine)
    )
    async with tasks as owner:
        owner.start(rooms.run(), "rooms")
        gc.freeze()  # as a node does
        await WireServer(config, wire).serve()


def main() -> None:
    """Serve until killed."""
    name, port, redis_url, event = sys.argv[1:]
    uvloop.run(_serve(name, int(port), redis_url, json.loads(event)))


if __name__ == "__main__":
    main()
