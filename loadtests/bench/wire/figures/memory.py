"""Memory of an idle socket: how much larger the server process is with thousands of them, divided by their number.

Memory is the process's proportional share (PSS); the kernel's socket buffers are not in it. Ours are authenticated
sockets of a whole node, each of another rider. Node collects its garbage before both looks.
"""

import urllib.request

from loadtests.bench.wire.bench import Bench, Server
from loadtests.bench.wire.figures.figure import Measurement
from loadtests.bench.wire.generator import Generator
from loadtests.bench.wire.measuring import memory_bytes
from loadtests.bench.wire.peers import NODE_SERVER, OUR_NODE
from loadtests.bench.wire.results import NODE, OURS, Reading

_WARM_UP = 200
_SETTLE_SECONDS = 1.5
_RECIPES = {OURS: OUR_NODE, NODE: NODE_SERVER}


class Memory(Measurement):
    """The figure `memory`."""

    peers = (OURS, NODE)

    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        ours, count = peer == OURS, bench.durations.idle_sockets
        auths = [rider.auth for rider in bench.riders[:count]] if ours else None
        with bench.server(_RECIPES[peer]) as server, bench.generator(server) as generator:
            generator.group("clients", auths, greeted=ours)
            generator.open("clients", _WARM_UP)
            generator.close("clients")
            before = _settled(generator, server, peer)
            generator.open("clients", count)
            after = _settled(generator, server, peer)
        value = (after - before) / count / 1024
        return [Reading("memory", peer, value, "", {"sockets": count, "bytes_before": before, "bytes_after": after})]


def _settled(generator: Generator, server: Server, peer: str) -> int:
    generator.idle(_SETTLE_SECONDS)
    if peer == NODE:
        urllib.request.urlopen(f"http://127.0.0.1:{server.port}/gc", timeout=30).close()
    return memory_bytes(server.pid)
