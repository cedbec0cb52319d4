"""A rolling restart of two nodes under the traffic of `cuts`: SIGTERM, a new process in its place, then the next one.

Half of the 2,000 devices are on either node. They do what a node that stops tells them, and connect where a load
balancer would send them: to a node whose `/ready` agreed at the last look, which is made every quarter of a second.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import uvloop

from domain.kit.tasks import TaskOwner
from loadtests.bench.nodes.plan import Plan
from loadtests.bench.nodes.traffic import DEVICES, RIDERS, Traffic
from loadtests.bench.wire.accounts import make_riders
from loadtests.bench.wire.bench import Bench, Server
from loadtests.bench.wire.command import say
from loadtests.bench.wire.figures import Measurement
from loadtests.bench.wire.peers import OUR_NODE
from loadtests.bench.wire.processes import answers
from loadtests.bench.wire.results import OURS, Reading

_NODES = 2
_LOOK_SECONDS = 0.25


class Restart(Measurement):
    """The figures `restart-…`."""

    peers = (OURS,)
    once = True
    shares_cores = True

    def __init__(self, plan: Plan) -> None:
        self._plan = plan

    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        riders = make_riders(bench.stack.database_url, RIDERS, DEVICES)
        with contextlib.ExitStack() as stack:
            balancer = Balancer([stack.enter_context(bench.server(OUR_NODE)) for _ in range(_NODES)])
            traffic = Traffic(bench, riders, balancer.port)
            took = uvloop.run(self._roll(traffic, balancer))
        accounts = [device.account for device in traffic.devices]
        note = f"nodes were gone {', '.join(f'{seconds:.1f}' for seconds in took)} s after SIGTERM"
        return [
            Reading("restart-missing", peer, traffic.missing_percent(), note, traffic.told()),
            Reading("restart-twice", peer, sum(account.twice for account in accounts)),
            Reading("restart-away", peer, max((max(one.absences, default=0.0) for one in accounts), default=0.0)),
        ]

    async def _roll(self, traffic: Traffic, balancer: "Balancer") -> list[float]:
        """Seconds that each node took to end."""
        took = []
        async with balancer.looking(), traffic.running():
            await asyncio.sleep(self._plan.between_restarts)
            for server in balancer.servers:
                took.append(await _restart(server))
                say(f"a node ended {took[-1]:.1f} s after SIGTERM, and is back")
                await asyncio.sleep(self._plan.between_restarts)
        return took


async def _restart(server: Server) -> float:
    """End it in good order and have it serve again; seconds until it was gone."""
    began = time.monotonic()
    await asyncio.to_thread(server.child.stop)
    seconds = time.monotonic() - began
    # Here, not in a thread: the kernel ends a child with the thread that began it.
    server.child.start()
    await asyncio.to_thread(server.child.wait_until_serving, _ready(server))
    return seconds


def _ready(server: Server) -> str:
    return f"http://127.0.0.1:{server.port}/ready"


class Balancer:
    """Where to connect: of the nodes that are ready, as far as is known, each device's by its number."""

    def __init__(self, servers: list[Server]) -> None:
        self.servers = servers
        self._serving = list(servers)

    def port(self, number: int) -> int:
        """For the device of this number; a node that is not known to be ready when there is no other."""
        among = self._serving or self.servers
        return among[number % len(among)].port

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[None]:
        """Ask every node again and again whether it is ready."""
        async with TaskOwner("balancer") as owner:
            owner.start(self._look(), "look")
            yield

    async def _look(self) -> None:
        while True:
            ready = await asyncio.gather(*(asyncio.to_thread(answers, _ready(server)) for server in self.servers))
            self._serving = [server for server, agrees in zip(self.servers, ready, strict=True) if agrees]
            await asyncio.sleep(_LOOK_SECONDS)
