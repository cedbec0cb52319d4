"""Connect: CPU from the TCP connection to a socket that may speak.

Ours is a whole node: upgrade, CONNECT, the token verified, the session looked up among the revoked, `session:ready`
sent. The others upgrade and answer CONNECT without asking who it is.
"""

from loadtests.bench.wire.bench import Bench
from loadtests.bench.wire.figures.figure import MICRO, Measurement, details
from loadtests.bench.wire.measuring import CpuMeter
from loadtests.bench.wire.peers import NODE_SERVER, OUR_NODE, PLAIN_SERVER
from loadtests.bench.wire.results import NODE, OURS, PLAIN, Reading

_WARM_UP = 200
_SETTLE_SECONDS = 0.3
_RECIPES = {OURS: OUR_NODE, NODE: NODE_SERVER, PLAIN: PLAIN_SERVER}


class Connects(Measurement):
    """The figure `connect`."""

    peers = (OURS, NODE, PLAIN)

    def measure(self, bench: Bench, peer: str) -> list[Reading]:
        ours, count = peer == OURS, bench.durations.connects
        auths = [rider.auth for rider in bench.riders[:count]] if ours else None
        with bench.server(_RECIPES[peer]) as server, bench.generator(server) as generator:
            generator.group("clients", auths, greeted=ours)
            generator.open("clients", _WARM_UP)
            generator.close("clients")
            generator.idle(_SETTLE_SECONDS)
            meter = CpuMeter(server.pid)
            happened = generator.open("clients", count)
            cpu = meter.read()
            return [
                Reading("connect", peer, cpu.seconds / count * MICRO, "", {"connects": count, **details(happened, cpu)})
            ]
